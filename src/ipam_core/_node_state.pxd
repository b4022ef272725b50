"""A simulated node's state in C, its stream of chance and its heap of events.

What is done with it is in `_node_checks.pxd` and `_kernel.pxd`.

    events    a binary heap by (time, order): what happens to a pod, or a pod to create
    pods      by slot; the slots of pods that are gone are a list, the last one first
    given     the pods of the whole fleet that a scheduler put on nodes (`_scheduler.pxd`)
    ends      when workloads hear of given pods that got an address, for the scheduler to take
    peaks     a ring of (time, most in use since), counts falling, within the release delay
    chance    a SplitMix64 stream of the node's own: the order of nodes does not matter
"""

from cpython.mem cimport PyMem_RawRealloc
from libc.math cimport log
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from ipam_core._pool cimport Pool
from ipam_core._rules cimport Rules

cdef enum:
    N_CAUSES = 9              # of refusals, as in `Agent`
    N_SUMS = 7                # ENIs, total, assigned, cooling, pods, those that wait, refusals
    NEVER_NS = -1             # a time that was not, a pod that does not end
    NOT_THERE = 0xFFFFFFFF    # no pod, slot or node

cdef extern from *:
    """
    #define SECOND_NS 1000000000LL
    #define HALF_PERIOD_NS 2500000000LL
    """
    const int64_t SECOND_NS, HALF_PERIOD_NS    # too large for an enum


cdef enum Next:               # what the agent does next of itself
    NOTHING = 0               # a step is under way
    CHECK = 1
    RECONCILE = 2

cdef enum Running:            # what a refusal sees of the step under way
    NO_STEP = 0
    THROTTLED_STEP = 1
    STEP_UNDER_WAY = 2

cdef enum Failure:            # the node's last error
    NO_FAILURE = 0
    SUBNET_FULL = 1
    THROTTLED = 2


cdef enum Kind:               # of an event
    CREATE = 0                # a pod of a workload of the node's own
    GO_ON = 1                 # a pod asks for an address again, or its life is over
    TAKE = 2                  # a given pod comes
    DROP = 3                  # a given pod is removed
    RELEASE = 4               # the agent is asked again to release what a pod held
    FORGET = 5                # the agent no longer counts a pod that it refused


cdef struct Event:
    int64_t time_ns
    uint64_t order
    uint32_t pod              # its slot; the workload, of one to create; else a place in `given`
    uint32_t kind             # as `Kind`


cdef struct SimulatedPod:
    uint64_t number
    uint64_t digest[2]        # of its sandbox
    int64_t asked_ns          # for the first time
    int64_t refused_ns        # for the last time
    int64_t life_ns           # from when it has its address; never: it stays
    uint32_t workload         # or the next slot in the list of those that are gone
    uint32_t given            # its place, of a given pod
    uint32_t n_events         # of it, in the heap
    uint8_t served
    uint8_t gone
    uint8_t counted           # as waiting, by the agent


cdef struct GivenPod:
    uint64_t number           # in order of creation; the bit is set that makes it a given pod's
    int64_t asked_ns
    int64_t life_ns
    int64_t heard_ns          # so long after it has its address its workload hears of it
    uint32_t group            # whose nodes it may run on
    uint32_t node             # while it has none: NOT_THERE
    uint32_t slot             # on its node
    uint32_t before, after    # in the queue of pods without a node
    uint32_t deployment       # NOT_THERE: of none
    uint32_t older, newer     # in its Deployment
    bint is_ready
    bint gone


cdef struct End:
    int64_t time_ns
    uint64_t number
    uint32_t pod


cdef struct Workload:
    double rate               # 1 / mean life in ns; 0: its pods stay


cdef struct Peak:
    int64_t time_ns
    int64_t in_use


cdef struct Kernel:
    Pool *pool
    Rules rules
    uint64_t chance
    uint64_t key              # of the sandboxes' digests
    # what is to come
    Event *events
    uint32_t n_events, room_events
    SimulatedPod *pods
    uint32_t n_pods, room_pods
    uint32_t unused           # the last slot whose pod is gone
    GivenPod **given
    End *ends
    uint32_t n_ends, room_ends
    Workload *workloads
    uint32_t n_workloads, room_workloads
    uint64_t n_created
    uint32_t n_to_create
    # the agent
    bint is_ready             # while it answers pods
    int next                  # as `Next`
    int64_t next_ns
    bint changes_pool
    bint falls_back
    bint is_clean             # a reconcile would find nothing
    bint lacks_trunk          # and looks for it at every reconcile, which is always due
    bint is_settled           # a check does nothing until a pod comes or goes, however late
    int most_enis             # that may be attached
    int running               # as `Running`
    int failure               # as `Failure`
    int64_t changed_ns, shrunk_ns, full_ns
    int64_t release_delay_ns
    Peak *peaks
    uint32_t first_peak, n_peaks, room_peaks
    # sums
    int64_t from_ns           # what is measured
    uint32_t n_alive, n_waiting
    uint32_t n_counted        # pods that wait, as the agent knows
    uint64_t n_at_once        # pods served as soon as they asked
    double *waits             # of the others, in seconds
    uint32_t n_waits, room_waits
    uint64_t refusals[N_CAUSES]
    uint64_t n_refusals
    uint64_t n_pod_events
    const int64_t *sample_times_ns
    int64_t *samples          # rows of N_SUMS, to which the node's are added
    uint32_t n_samples, next_sample


cdef inline int reserve(void **array, uint32_t n, uint32_t *room, size_t size) noexcept nogil:
    """Make room for one more than n in an array; -1 where there is no memory."""
    cdef uint32_t more
    cdef void *grown
    if n < room[0]:
        return 0
    more = max(16, room[0] * 2)
    grown = PyMem_RawRealloc(array[0], more * size)
    if grown == NULL:
        return -1
    array[0], room[0] = grown, more
    return 0


# --- chance -----------------------------------------------------------------------------


cdef inline uint64_t scrambled(uint64_t word) noexcept nogil:
    """Mix a word: the finalizer of SplitMix64 (Steele, Lea, Flood, 2014)."""
    word = (word ^ word >> 30) * <uint64_t> 0xBF58476D1CE4E5B9
    word = (word ^ word >> 27) * <uint64_t> 0x94D049BB133111EB
    return word ^ word >> 31


cdef inline double random_share(uint64_t *chance) noexcept nogil:
    """Return the next number of a stream, from 0 to below 1."""
    chance[0] += <uint64_t> 0x9E3779B97F4A7C15
    return <double> (scrambled(chance[0]) >> 11) * (1.0 / 9007199254740992.0)


cdef inline double random_life(uint64_t *chance, double rate) noexcept nogil:
    """Return an exponential life of this rate."""
    return -log(1.0 - random_share(chance)) / rate


# --- events -----------------------------------------------------------------------------


cdef inline uint64_t order_of(uint64_t number) noexcept nogil:
    """Return the order of a pod's events at one moment: after what workloads do."""
    return <uint64_t> 1 << 63 | number << 1


cdef inline uint64_t order_at(uint64_t workload, uint64_t number) noexcept nogil:
    """Return the order of what a workload does: by its number, then in order."""
    return (workload + 1) << 41 | number << 1


cdef inline bint is_before(const Event *one, const Event *other) noexcept nogil:
    return (one.time_ns < other.time_ns
            or (one.time_ns == other.time_ns and one.order < other.order))


cdef inline int push(Kernel *node, int64_t time_ns, uint64_t order, Kind kind,
                     uint32_t pod) noexcept nogil:
    """Put an event into the heap; -1 where there is no memory."""
    cdef uint32_t place = node.n_events, parent
    cdef Event event = Event(time_ns, order, pod, kind)
    if reserve(<void **> &node.events, place, &node.room_events, sizeof(Event)) < 0:
        return -1
    node.n_events += 1
    while place:
        parent = (place - 1) // 2
        if not is_before(&event, &node.events[parent]):
            break
        node.events[place] = node.events[parent]
        place = parent
    node.events[place] = event
    return 0


cdef inline void pop(Kernel *node) noexcept nogil:
    """Take the first event out of the heap."""
    cdef Event event
    cdef uint32_t place = 0, child
    node.n_events -= 1
    event = node.events[node.n_events]
    while True:
        child = 2 * place + 1
        if child >= node.n_events:
            break
        if child + 1 < node.n_events and is_before(&node.events[child + 1], &node.events[child]):
            child += 1
        if not is_before(&node.events[child], &event):
            break
        node.events[place] = node.events[child]
        place = child
    node.events[place] = event
