"""One simulated node in C: its pods, its agent's pool checks, its timers and its sums.

A `Kernel` plays what happens on a node whose pods stay on it: they come, ask for an address,
ask again where there is none, and go; every 5 s the agent checks its pool. It needs Python only
where a check would call EC2, or a reconcile might: it stops before that moment (`advance`), and
Python runs the same steps as ever on the same store. Nothing here needs the GIL.

At one moment a pool check comes first, then pods that are created, then pods in the order of
their numbers, as in `ipam_core.simulation.engine`.

Source: what `Fleet`, `Agent`, `NodeState`, `Timers` and `idle.would_idle` do, which stay the
slow way; a property test compares every byte of their results.
"""

from libc.math cimport llrint
from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t

from ipam_core._assign cimport pool_assign, pool_release
from ipam_core._node_checks cimport cause_of_refusal, check, count, is_within
from ipam_core._node_state cimport (
    HALF_PERIOD_NS,
    NOTHING,
    N_SUMS,
    RECONCILE,
    SECOND_NS,
    Event,
    Kernel,
    SimulatedPod,
    pop,
    push,
    random_life,
    random_share,
    reserve,
    scrambled,
)
from ipam_core._pool cimport EXHAUSTED, NO_MEMORY
from ipam_core._rules cimport Counts


# --- pods -----------------------------------------------------------------------------------


cdef inline uint64_t order_of(const SimulatedPod *pod) noexcept nogil:
    """Return the order of a pod's events at one moment: after pods that are created."""
    return <uint64_t> 1 << 62 | pod.number


cdef inline int serve(Kernel *node, SimulatedPod *pod, int64_t now_ns) noexcept nogil:
    """Note that a pod has its address; -1 where there is no memory."""
    pod.served = True
    node.n_waiting -= 1
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


cdef inline int ask(Kernel *node, uint32_t slot, int64_t now_ns) noexcept nogil:
    """Let a pod ask for an address, and again later where it gets none; -1: no memory."""
    cdef SimulatedPod *pod = &node.pods[slot]
    cdef uint64_t digest[2]
    cdef uint32_t record
    cdef int answer
    digest[0], digest[1] = scrambled(node.key + pod.number), pod.number
    answer = pool_assign(node.pool, digest, now_ns, &record)
    if answer == NO_MEMORY:
        return -1
    if answer == EXHAUSTED:
        if now_ns >= node.from_ns:
            node.refusals[cause_of_refusal(node, now_ns)] += 1
            node.n_refusals += 1
        return push(node, now_ns + llrint(
            10.0 * (1 + 0.5 * random_share(&node.chance)) * SECOND_NS), order_of(pod), slot)
    if serve(node, pod, now_ns) < 0:
        return -1
    if node.workloads[pod.workload].rate == 0:
        return 0
    return push(node, now_ns + pod.life_ns, order_of(pod), slot)


cdef inline int create(Kernel *node, uint32_t workload, int64_t now_ns) noexcept nogil:
    """Create a pod of a workload, which asks at once; -1 where there is no memory."""
    cdef SimulatedPod *pod
    cdef uint32_t slot
    cdef double rate = node.workloads[workload].rate
    if node.n_unused:
        node.n_unused -= 1
        slot = node.unused[node.n_unused]
    else:
        if reserve(<void **> &node.pods, node.n_pods, &node.room_pods, sizeof(SimulatedPod)) < 0:
            return -1
        slot = node.n_pods
        node.n_pods += 1
    pod = &node.pods[slot]
    node.n_created += 1
    pod.number, pod.workload, pod.asked_ns, pod.served = node.n_created, workload, now_ns, False
    pod.life_ns = llrint(random_life(&node.chance, rate)) if rate > 0 else 0
    node.n_alive += 1
    node.n_waiting += 1
    node.n_pod_events += 1
    return ask(node, slot, now_ns)


cdef inline int end(Kernel *node, uint32_t slot, int64_t now_ns) noexcept nogil:
    """End a pod whose life is over, and create the next of its workload; -1: no memory."""
    cdef SimulatedPod *pod = &node.pods[slot]
    cdef uint32_t workload = pod.workload, record
    cdef uint64_t digest[2]
    digest[0], digest[1] = scrambled(node.key + pod.number), pod.number
    pool_release(node.pool, digest, now_ns, &record)    # a reconcile may have taken it
    if reserve(<void **> &node.unused, node.n_unused, &node.room_unused, sizeof(uint32_t)) < 0:
        return -1
    node.unused[node.n_unused] = slot
    node.n_unused += 1
    node.n_alive -= 1
    node.n_pod_events += 1
    return create(node, workload, now_ns)


cdef inline int play(Kernel *node) noexcept nogil:
    """Play the first event; -1 where there is no memory."""
    cdef Event event = node.events[0]
    pop(node)
    node.is_settled = False
    if event.order >> 62 == 0:
        return create(node, event.pod, event.time_ns)
    if node.pods[event.pod].served:
        return end(node, event.pod, event.time_ns)
    return ask(node, event.pod, event.time_ns)


cdef inline void sample(Kernel *node, int64_t until_ns) noexcept nogil:
    """Add up what the node holds at the samples that are due before a time."""
    cdef Counts counts
    cdef int64_t *sums
    while (node.next_sample < node.n_samples
           and node.sample_times_ns[node.next_sample] < until_ns):
        count(node, &counts, node.sample_times_ns[node.next_sample])
        sums = &node.samples[N_SUMS * node.next_sample]
        sums[0] += node.pool.n_enis
        sums[1] += counts.total
        sums[2] += counts.assigned
        sums[3] += counts.cooling
        sums[4] += node.n_alive
        sums[5] += node.n_waiting
        sums[6] += node.n_refusals
        node.next_sample += 1


cdef inline bint is_sampled(const Kernel *node, int64_t until_ns) noexcept nogil:
    """Return whether no sample is due before a time."""
    return (node.next_sample == node.n_samples
            or node.sample_times_ns[node.next_sample] >= until_ns)


cdef inline int advance(Kernel *node, int64_t until_ns) noexcept nogil:
    """Play all that happens before a time, or before the agent needs Python.

    Returns 0 at the time; 1 where `next` is to be done by Python at `next_ns`; -1 where there is
    no memory.
    """
    cdef int64_t event_ns, next_ns, chance_ns
    cdef int answer
    while True:
        event_ns = node.events[0].time_ns if node.n_events else INT64_MAX
        next_ns = min(event_ns, until_ns)
        if node.next != NOTHING:
            next_ns = min(next_ns, node.next_ns)
        if not is_sampled(node, next_ns):
            sample(node, next_ns)
        if node.next != NOTHING and node.next_ns <= event_ns:
            if node.next_ns >= until_ns:
                return 0
            if node.next == RECONCILE:
                return 1
            if not node.is_settled:
                answer = check(node, node.next_ns)
                if answer != 1:
                    return 1 if answer == 0 else -1
            chance_ns = node.next_ns + HALF_PERIOD_NS
            node.next_ns += 2 * HALF_PERIOD_NS
            if not is_within(node.changed_ns, 60, chance_ns):
                if node.is_clean:
                    node.changed_ns = chance_ns
                else:
                    node.next, node.next_ns = RECONCILE, chance_ns
        else:
            if event_ns >= until_ns:
                return 0
            if play(node) < 0:
                return -1
