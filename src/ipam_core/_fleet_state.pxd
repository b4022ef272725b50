"""The state in C of the pods of a fleet that are of no node of their own.

What is done with it is in `_scheduler.pxd`.

    sources    a binary heap by (time, workload, order): a wave, a recorded trace, what happens
               to a Deployment, or pods that a workload of one node creates there
    ends       a binary heap by (time, number)
    hosts      the nodes by number, and for each group a binary heap of them by share
    queues     for each wanted group a list of the pods that found no node, the oldest first
"""

from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t

from ipam_core._node_state cimport End, GivenPod, Kernel, reserve

cdef extern from *:
    """
    #define GIVEN_BIT (1ULL << 61)
    """
    const uint64_t GIVEN_BIT  # of the numbers of given pods: others are of a node's own


cdef enum SourceKind:
    WAVE = 0
    TRACE = 1
    OWN_PODS = 2              # `what` is the node, `count` how many
    DEPLOY = 3                # a Deployment begins
    UPDATE = 4                # or gets another template
    READY = 5                 # `what` is a pod of one, `count` the low bits of its number


cdef struct Source:
    int64_t time_ns
    uint64_t order            # by workload, then by wave
    uint32_t kind             # as `SourceKind`
    uint32_t what             # the wave, trace, node, Deployment or pod
    uint32_t count


cdef struct Wave:
    int64_t start_ns, over_ns
    int64_t every_ns          # never: it is not repeated
    int64_t life_ns
    uint32_t workload, group
    uint32_t n_pods, n_done   # of one that is over, the next that is


cdef struct TraceEvent:
    int64_t time_ns
    uint32_t pod              # as the trace numbers it
    uint32_t node             # the number of its name; none: NOT_THERE
    bint add


cdef struct Trace:
    uint32_t workload
    bint is_whole             # no more events come
    TraceEvent *events
    uint32_t n_events, room_events, n_done
    uint32_t *pods            # the place in `given` of each that is there
    uint32_t n_pods


cdef struct Deployment:
    int64_t ready_ns          # after a pod has its address
    uint32_t workload, group
    int64_t n_wanted, n_surge, n_unavailable
    uint32_t first, last      # its pods, the oldest first
    uint32_t first_new        # of the current template; those before are old
    int64_t n_old, n_new, n_ready


cdef struct Host:
    Kernel *kernel
    double share
    uint32_t group, place     # in the heap of its group
    uint32_t room, n_pods     # without those of DaemonSets
    bint joined


cdef struct Group:
    uint32_t *heap
    uint32_t n_hosts, room_hosts
    uint32_t n_daemons        # of each node, so far


cdef struct DaemonSet:
    int64_t at_ns
    uint32_t group            # the number of groups: every one


cdef struct Queue:
    uint32_t first, last


cdef struct Fleet:
    int64_t from_ns           # what is measured
    GivenPod *given
    uint32_t n_given, room_given
    uint32_t unused           # the last place in `given` whose pod is gone
    uint32_t going            # such whose nodes may not have been played so far yet
    Source *sources
    uint32_t n_sources, room_sources
    End *ends
    uint32_t n_ends, room_ends
    Wave *waves
    uint32_t n_waves, room_waves, unused_wave
    Trace *traces
    uint32_t n_traces, room_traces
    Deployment *deployments
    uint32_t n_deployments, room_deployments
    uint32_t *named           # nodes by the numbers of their names
    uint32_t n_named
    Host *hosts
    uint32_t n_hosts, room_hosts
    Group *groups
    uint32_t n_groups
    Queue *queues             # one for each group, then that of pods that want any
    DaemonSet *daemon_sets    # those to come, the next one last
    uint32_t n_daemon_sets
    uint64_t n_pods, n_events  # so far
    # sums
    uint32_t n_unplaced
    uint64_t n_refused        # found no node, where that is measured
    const int64_t *sample_times_ns
    uint32_t n_samples, next_sample
    int64_t *samples          # rows of (pods without a node, refused)


# --- the heaps of sources and of ends ------------------------------------------------------


cdef inline bint comes_before(const Source *one, const Source *other) noexcept nogil:
    return (one.time_ns < other.time_ns
            or (one.time_ns == other.time_ns and one.order < other.order))


cdef inline int push_source(Fleet *fleet, Source source) noexcept nogil:
    """Put a source into the heap; -1 where there is no memory."""
    cdef uint32_t place = fleet.n_sources, parent
    if reserve(<void **> &fleet.sources, place, &fleet.room_sources, sizeof(Source)) < 0:
        return -1
    fleet.n_sources += 1
    while place:
        parent = (place - 1) // 2
        if not comes_before(&source, &fleet.sources[parent]):
            break
        fleet.sources[place] = fleet.sources[parent]
        place = parent
    fleet.sources[place] = source
    return 0


cdef inline void settle_first_source(Fleet *fleet, Source source) noexcept nogil:
    """Put a source where the first one was, and then into its place."""
    cdef uint32_t place = 0, child
    while True:
        child = 2 * place + 1
        if child >= fleet.n_sources:
            break
        if child + 1 < fleet.n_sources and comes_before(
                &fleet.sources[child + 1], &fleet.sources[child]):
            child += 1
        if not comes_before(&fleet.sources[child], &source):
            break
        fleet.sources[place] = fleet.sources[child]
        place = child
    fleet.sources[place] = source


cdef inline void pop_source(Fleet *fleet) noexcept nogil:
    """Take the first source out of the heap."""
    fleet.n_sources -= 1
    if fleet.n_sources:
        settle_first_source(fleet, fleet.sources[fleet.n_sources])


cdef inline bint ends_before(const End *one, const End *other) noexcept nogil:
    return (one.time_ns < other.time_ns
            or (one.time_ns == other.time_ns and one.number < other.number))


cdef inline int push_end(Fleet *fleet, End end) noexcept nogil:
    """Put the end of a pod into the heap; -1 where there is no memory."""
    cdef uint32_t place = fleet.n_ends, parent
    if reserve(<void **> &fleet.ends, place, &fleet.room_ends, sizeof(End)) < 0:
        return -1
    fleet.n_ends += 1
    while place:
        parent = (place - 1) // 2
        if not ends_before(&end, &fleet.ends[parent]):
            break
        fleet.ends[place] = fleet.ends[parent]
        place = parent
    fleet.ends[place] = end
    return 0


cdef inline void pop_end(Fleet *fleet) noexcept nogil:
    """Take the first end out of the heap."""
    cdef End end
    cdef uint32_t place = 0, child
    fleet.n_ends -= 1
    end = fleet.ends[fleet.n_ends]
    while True:
        child = 2 * place + 1
        if child >= fleet.n_ends:
            break
        if child + 1 < fleet.n_ends and ends_before(&fleet.ends[child + 1], &fleet.ends[child]):
            child += 1
        if not ends_before(&fleet.ends[child], &end):
            break
        fleet.ends[place] = fleet.ends[child]
        place = child
    fleet.ends[place] = end


cdef inline int64_t next_ns(const Fleet *fleet) noexcept nogil:
    """Return when the next pod comes or goes, as far as is known."""
    cdef int64_t time_ns = fleet.sources[0].time_ns if fleet.n_sources else INT64_MAX
    return min(time_ns, fleet.ends[0].time_ns) if fleet.n_ends else time_ns
