"""One simulated node in C: its pods, its agent's pool checks, its timers and its sums.

A `Kernel` plays what happens on a node whose pods stay on it: they come, ask for an address,
ask again where there is none, and go; every 5 s the agent checks its pool. It needs Python only
where a check would call EC2, or a reconcile might: it stops before that moment (`advance`), and
Python runs the same steps as ever on the same store. Nothing here needs the GIL.

Pods are the node's own (`create`), or given to it by a scheduler (`take`). At one moment a pool
check comes first, then what workloads do, then pods in the order of their numbers, as in
`ipam_core.simulation.engine`.

Source: what `Fleet`, `Agent`, `NodeState`, `Timers` and `idle.would_idle` do, which stay the
slow way; a property test compares every byte of their results.
"""

cimport cython
from libc.math cimport llrint
from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t
from libc.string cimport memset

from ipam_core._assign cimport pool_assign, pool_release
from ipam_core._node_checks cimport cause_of_refusal, check, count, is_within
from ipam_core._node_state cimport (
    CREATE,
    DROP,
    FORGET,
    GO_ON,
    HALF_PERIOD_NS,
    NEVER_NS,
    NOTHING,
    NOT_THERE,
    N_SUMS,
    RECONCILE,
    RELEASE,
    SECOND_NS,
    TAKE,
    End,
    Event,
    GivenPod,
    Kernel,
    Kind,
    SimulatedPod,
    order_of,
    pop,
    push,
    random_life,
    random_share,
    reserve,
    scrambled,
)
from ipam_core._pool cimport EXHAUSTED, NO_MEMORY
from ipam_core._rules cimport Counts
from ipam_core._store cimport DataStore


@cython.final
cdef class NodeKernel:
    cdef Kernel node
    cdef readonly DataStore store
    cdef object samples
    cdef object keeper          # the pods of the fleet, which it may be given
    cdef public int64_t due_ns


# --- pods -----------------------------------------------------------------------------------


cdef inline int push_for(Kernel *node, uint32_t slot, int64_t time_ns, Kind kind) noexcept nogil:
    """Put an event of a pod into the heap; -1 where there is no memory."""
    node.pods[slot].n_events += 1
    return push(node, time_ns, order_of(node.pods[slot].number), kind, slot)


cdef inline int64_t next_try_ns(Kernel *node, int64_t now_ns) noexcept nogil:
    """Return when the kubelet tries again."""
    return now_ns + llrint(10.0 * (1 + 0.5 * random_share(&node.chance)) * SECOND_NS)


cdef inline int serve(Kernel *node, SimulatedPod *pod, int64_t now_ns) noexcept nogil:
    """Note that a pod has its address; -1 where there is no memory."""
    pod.served = True
    node.n_waiting -= 1
    node.n_counted -= pod.counted
    if pod.asked_ns < node.from_ns:
        return 0
    if pod.asked_ns == now_ns:
        node.n_at_once += 1
        return 0
    if reserve(<void **> &node.waits, node.n_waits, &node.room_waits, sizeof(double)) < 0:
        return -1
    node.waits[node.n_waits] = <double> (now_ns - pod.asked_ns) / SECOND_NS
    node.n_waits += 1
    return 0


cdef inline int refuse(Kernel *node, uint32_t slot, int64_t now_ns) noexcept nogil:
    """Note that a pod got no address, and let it ask again later; -1: no memory."""
    if now_ns >= node.from_ns:
        node.refusals[cause_of_refusal(node, now_ns)] += 1
        node.n_refusals += 1
    return push_for(node, slot, next_try_ns(node, now_ns), GO_ON)


cdef inline int ask(Kernel *node, uint32_t slot, int64_t now_ns) noexcept nogil:
    """Let a pod ask for an address, and again later where it gets none; -1: no memory."""
    cdef SimulatedPod *pod = &node.pods[slot]
    cdef uint32_t record
    cdef int answer
    if not node.is_ready:
        return refuse(node, slot, now_ns)
    answer = pool_assign(node.pool, pod.digest, now_ns, &record)
    if answer == NO_MEMORY:
        return -1
    if answer == EXHAUSTED:
        node.n_counted += not pod.counted
        pod.counted, pod.refused_ns = True, now_ns
        return refuse(node, slot, now_ns)
    if serve(node, pod, now_ns) < 0:
        return -1
    if pod.given != NOT_THERE and node.given[0][pod.given].heard_ns != NEVER_NS:
        if reserve(<void **> &node.ends, node.n_ends, &node.room_ends, sizeof(End)) < 0:
            return -1
        node.ends[node.n_ends] = End(
            now_ns + node.given[0][pod.given].heard_ns, pod.number, pod.given)
        node.n_ends += 1
    if pod.life_ns == NEVER_NS:
        return 0
    return push_for(node, slot, now_ns + pod.life_ns, GO_ON)


cdef inline SimulatedPod *add(Kernel *node, uint64_t number, int64_t asked_ns) noexcept nogil:
    """Add a pod that has not asked yet; NULL where there is no memory."""
    cdef SimulatedPod *pod
    cdef uint32_t slot = node.unused
    if slot != NOT_THERE:
        node.unused = node.pods[slot].workload
    else:
        if reserve(<void **> &node.pods, node.n_pods, &node.room_pods, sizeof(SimulatedPod)) < 0:
            return NULL
        slot = node.n_pods
        node.n_pods += 1
    pod = &node.pods[slot]
    memset(pod, 0, sizeof(SimulatedPod))
    pod.number, pod.asked_ns, pod.life_ns, pod.given = number, asked_ns, NEVER_NS, NOT_THERE
    pod.digest[0], pod.digest[1] = scrambled(node.key + number), number
    node.n_alive += 1
    node.n_waiting += 1
    node.n_pod_events += 1
    return pod


cdef inline uint32_t slot_of(const Kernel *node, const SimulatedPod *pod) noexcept nogil:
    return <uint32_t> (pod - node.pods)


cdef inline void give_up(Kernel *node, uint32_t slot) noexcept nogil:
    """Keep the slot of a pod that is gone for another, once nothing more happens to it."""
    cdef SimulatedPod *pod = &node.pods[slot]
    if pod.n_events == 0:
        pod.workload = node.unused
        node.unused = slot


cdef inline int create(Kernel *node, uint32_t workload, int64_t now_ns) noexcept nogil:
    """Create a pod of a workload, which asks at once; -1 where there is no memory."""
    cdef SimulatedPod *pod
    cdef double rate = node.workloads[workload].rate
    node.n_created += 1
    pod = add(node, node.n_created, now_ns)
    if pod == NULL:
        return -1
    pod.workload = workload
    if rate > 0:
        pod.life_ns = llrint(random_life(&node.chance, rate))
    return ask(node, slot_of(node, pod), now_ns)


cdef inline int take(Kernel *node, uint32_t place, int64_t now_ns) noexcept nogil:
    """Take a given pod, which asks at once; -1 where there is no memory."""
    cdef GivenPod *given = &node.given[0][place]
    cdef SimulatedPod *pod = add(node, given.number, given.asked_ns)
    if pod == NULL:
        return -1
    pod.life_ns, pod.given, given.slot = given.life_ns, place, slot_of(node, pod)
    return ask(node, given.slot, now_ns)


cdef inline void leave(Kernel *node, SimulatedPod *pod) noexcept nogil:
    """Note that a pod goes."""
    pod.gone = True
    node.n_alive -= 1
    node.n_waiting -= not pod.served
    node.n_pod_events += 1


cdef inline int release(Kernel *node, uint32_t slot, int64_t now_ns) noexcept nogil:
    """Release what a pod held, later where the agent does not answer yet; -1: no memory."""
    cdef SimulatedPod *pod = &node.pods[slot]
    cdef uint32_t record
    if not node.is_ready:
        return push_for(node, slot, next_try_ns(node, now_ns), RELEASE)
    if pod.served:
        pool_release(node.pool, pod.digest, now_ns, &record)    # a reconcile may have taken it
    return 0


cdef inline int end(Kernel *node, uint32_t slot, int64_t now_ns) noexcept nogil:
    """End a pod whose life is over; create the next of its workload. -1: no memory."""
    cdef SimulatedPod *pod = &node.pods[slot]
    cdef uint32_t workload = pod.workload
    cdef bint given = pod.given != NOT_THERE
    leave(node, pod)
    if release(node, slot, now_ns) < 0:
        return -1
    give_up(node, slot)
    return 0 if given else create(node, workload, now_ns)


cdef inline int drop(Kernel *node, uint32_t slot, int64_t now_ns) noexcept nogil:
    """Remove a given pod, which may still wait; -1 where there is no memory.

    The agent does not hear of one that waits: it counts it for a minute more. At the end of the
    minute a pool check no longer does, so it is forgotten last of all in the moment before.
    """
    cdef SimulatedPod *pod = &node.pods[slot]
    leave(node, pod)
    if pod.counted and not pod.served:
        pod.n_events += 1
        if push(node, pod.refused_ns + 60 * SECOND_NS - 1, <uint64_t> -1, FORGET, slot) < 0:
            return -1
    if release(node, slot, now_ns) < 0:
        return -1
    give_up(node, slot)
    return 0


cdef inline int play(Kernel *node) noexcept nogil:
    """Play the first event; -1 where there is no memory."""
    cdef Event event = node.events[0]
    cdef SimulatedPod *pod
    pop(node)
    node.is_settled = False
    if event.kind == CREATE:
        return create(node, event.pod, event.time_ns)
    if event.kind == TAKE:
        return take(node, event.pod, event.time_ns)
    if event.kind == DROP:
        return drop(node, node.given[0][event.pod].slot, event.time_ns)
    pod = &node.pods[event.pod]
    pod.n_events -= 1
    if not pod.gone:
        return (end if pod.served else ask)(node, event.pod, event.time_ns)
    if event.kind == FORGET:
        node.n_counted -= pod.counted    # unless its agent was restarted since
        pod.counted = False
    elif event.kind == RELEASE and release(node, event.pod, event.time_ns) < 0:
        return -1
    give_up(node, event.pod)
    return 0


cdef inline void sample(Kernel *node, int64_t until_ns) noexcept nogil:
    """Add up what the node holds at the samples that are due before a time."""
    cdef Counts counts
    cdef int64_t *sums
    while (node.next_sample < node.n_samples
           and node.sample_times_ns[node.next_sample] < until_ns):
        sums = &node.samples[N_SUMS * node.next_sample]
        if node.is_ready:
            count(node, &counts, node.sample_times_ns[node.next_sample])
            sums[0] += node.pool.n_enis
            sums[1] += counts.total
            sums[2] += counts.assigned
            sums[3] += counts.cooling
        sums[4] += node.n_alive
        sums[5] += node.n_waiting
        sums[6] += node.n_refusals
        node.next_sample += 1


cdef inline bint may_hold(const SimulatedPod *pod) noexcept nogil:
    """Return whether a pod has an address, or is gone and the agent has not heard of it yet."""
    return pod.served and (not pod.gone or pod.n_events)


cdef inline void stop(Kernel *node) noexcept nogil:
    """Let the agent end: it answers no pod, and forgets all that it does not read again."""
    cdef uint32_t slot
    for slot in range(node.n_pods):
        node.pods[slot].counted = False
    node.n_counted = node.first_peak = node.n_peaks = 0
    node.is_ready = node.is_settled = False
    node.next = NOTHING
    node.pool = NULL


cdef inline int advance(Kernel *node, int64_t until_ns, uint64_t until_order) noexcept nogil:
    """Play all that happens before a time, or before the agent needs Python.

    At that time itself a pool check is made if the order is above 0, and then what comes before
    this order. Returns 0 at the time; 1 where `next` is to be done by Python at `next_ns`; -1
    where there is no memory.
    """
    cdef int64_t event_ns, next_ns, chance_ns
    cdef int answer
    while True:
        event_ns = node.events[0].time_ns if node.n_events else INT64_MAX
        next_ns = min(event_ns, until_ns)
        if node.next != NOTHING:
            next_ns = min(next_ns, node.next_ns)
        sample(node, next_ns)
        if node.next != NOTHING and node.next_ns <= event_ns:
            if node.next_ns > until_ns or (node.next_ns == until_ns and not until_order):
                return 0
            if node.next == RECONCILE:
                return 1
            if not node.is_settled:
                answer = check(node, node.next_ns)
                if answer != 1:
                    return 1 if answer == 0 else -1
            chance_ns = node.next_ns + HALF_PERIOD_NS
            node.next_ns += 2 * HALF_PERIOD_NS
            if node.lacks_trunk or not is_within(node.changed_ns, 60, chance_ns):
                if node.is_clean:
                    node.changed_ns = chance_ns
                else:
                    node.next, node.next_ns = RECONCILE, chance_ns
        else:
            if event_ns > until_ns or (
                    event_ns == until_ns and node.events[0].order >= until_order):
                return 0
            if play(node) < 0:
                return -1
