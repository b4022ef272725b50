"""What workloads do with the pods of a fleet, in C: waves, recordings, Deployments; and time.

Source: the processes of `ipam_core.simulation.fleet.workloads`, which stay the slow way.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from ipam_core._scheduler cimport create, free_room, remove, weigh
from ipam_core._fleet_state cimport (
    DEPLOY,
    OWN_PODS,
    READY,
    TRACE,
    UPDATE,
    WAVE,
    Deployment,
    Fleet,
    Source,
    Trace,
    TraceEvent,
    Wave,
    next_ns,
    pop_end,
    pop_source,
    push_end,
    push_source,
    settle_first_source,
)
from ipam_core._node_state cimport (
    NEVER_NS,
    NOT_THERE,
    End,
    GivenPod,
    Kernel,
    order_at,
    order_of,
    reserve,
)

# --- waves and recordings -----------------------------------------------------------------


cdef inline int begin_wave(Fleet *fleet, Wave wave) noexcept nogil:
    """Let a wave of pods come; -1 where there is no memory."""
    cdef uint32_t number = fleet.unused_wave
    if number != NOT_THERE:
        fleet.unused_wave = fleet.waves[number].n_done
    else:
        if reserve(<void **> &fleet.waves, fleet.n_waves, &fleet.room_waves, sizeof(Wave)) < 0:
            return -1
        number = fleet.n_waves
        fleet.n_waves += 1
    wave.n_done = 0
    fleet.waves[number] = wave
    fleet.n_events += 1
    return push_source(fleet, Source(
        wave.start_ns, order_at(wave.workload, fleet.n_events), WAVE, number, 0))


cdef inline int next_of_wave(Fleet *fleet, Source source) noexcept nogil:
    """Create the next pod of a wave, and before the first of them the next wave; -1: no memory."""
    cdef Wave wave = fleet.waves[source.what], later
    cdef int64_t every_pod_ns, rest_ns
    if wave.n_done == 0 and wave.every_ns != NEVER_NS:
        later = wave
        later.start_ns += wave.every_ns
        if begin_wave(fleet, later) < 0:
            return -1
    fleet.n_events += 1
    if create(fleet, wave.group, wave.life_ns, NOT_THERE, source.time_ns,
              order_at(wave.workload, fleet.n_events)) == NOT_THERE:
        return -1
    wave.n_done += 1
    if wave.n_done < wave.n_pods:
        every_pod_ns, rest_ns = wave.over_ns // wave.n_pods, wave.over_ns % wave.n_pods
        source.time_ns = (wave.start_ns + every_pod_ns * wave.n_done
                          + rest_ns * wave.n_done // wave.n_pods)
        settle_first_source(fleet, source)
    else:
        pop_source(fleet)
        wave.n_done = fleet.unused_wave
        fleet.unused_wave = source.what
    fleet.waves[source.what] = wave
    return 0


cdef inline int next_of_trace(Fleet *fleet, Source source) noexcept nogil:
    """Play the next event of a trace: 0; 1 where its node is not there; -1: no memory."""
    cdef Trace *trace = &fleet.traces[source.what]
    cdef TraceEvent event = trace.events[trace.n_done]
    cdef uint32_t node = NOT_THERE, place
    cdef uint64_t order
    fleet.n_events += 1
    order = order_at(trace.workload, fleet.n_events)
    if event.add:
        if event.node != NOT_THERE:
            node = fleet.named[event.node]
            if node == NOT_THERE:
                return 1
        place = create(fleet, fleet.n_groups, NEVER_NS, node, event.time_ns, order)
        if place == NOT_THERE:
            return -1
        trace.pods[event.pod] = place
    elif trace.pods[event.pod] != NOT_THERE:
        place = trace.pods[event.pod]
        trace.pods[event.pod] = NOT_THERE
        if remove(fleet, place, event.time_ns, order) < 0:
            return -1
    trace.n_done += 1
    if trace.n_done < trace.n_events:
        source.time_ns = trace.events[trace.n_done].time_ns
        settle_first_source(fleet, source)
    elif trace.is_whole:
        pop_source(fleet)
    return 0


# --- Deployments --------------------------------------------------------------------------


cdef inline int make(Fleet *fleet, uint32_t number, int64_t n_pods,
                     int64_t now_ns) noexcept nogil:
    """Create pods of a Deployment's current template; -1 where there is no memory."""
    cdef Deployment *deployment = &fleet.deployments[number]
    cdef GivenPod *pod
    cdef uint32_t place
    while n_pods > 0:
        n_pods -= 1
        fleet.n_events += 1
        place = create(fleet, deployment.group, NEVER_NS, NOT_THERE, now_ns,
                       order_at(deployment.workload, fleet.n_events))
        if place == NOT_THERE:
            return -1
        pod = &fleet.given[place]
        pod.heard_ns, pod.deployment = deployment.ready_ns, number
        pod.older, pod.newer = deployment.last, NOT_THERE
        if deployment.last == NOT_THERE:
            deployment.first = place
        else:
            fleet.given[deployment.last].newer = place
        deployment.last = place
        if deployment.first_new == NOT_THERE:
            deployment.first_new = place
        deployment.n_new += 1
    return 0


cdef inline int remove_old(Fleet *fleet, Deployment *deployment, uint32_t place,
                           int64_t now_ns) noexcept nogil:
    """Remove an old pod of a Deployment; -1 where there is no memory."""
    cdef GivenPod *pod = &fleet.given[place]
    if pod.older == NOT_THERE:
        deployment.first = pod.newer
    else:
        fleet.given[pod.older].newer = pod.newer
    if pod.newer == NOT_THERE:
        deployment.last = pod.older
    else:
        fleet.given[pod.newer].older = pod.older
    deployment.n_old -= 1
    deployment.n_ready -= pod.is_ready
    fleet.n_events += 1
    return remove(fleet, place, now_ns, order_at(deployment.workload, fleet.n_events))


cdef inline int roll(Fleet *fleet, uint32_t number, int64_t now_ns) noexcept nogil:
    """Remove old pods that need not stay, and make as many new ones as allowed; -1: no memory."""
    cdef Deployment *deployment = &fleet.deployments[number]
    while (deployment.n_old
           and deployment.n_ready > deployment.n_wanted - deployment.n_unavailable):
        if remove_old(fleet, deployment, deployment.first, now_ns) < 0:
            return -1
    return make(fleet, number, min(
        deployment.n_wanted - deployment.n_new,
        deployment.n_wanted + deployment.n_surge - deployment.n_new - deployment.n_old), now_ns)


cdef inline int update(Fleet *fleet, uint32_t number, int64_t now_ns) noexcept nogil:
    """Give a Deployment another template; -1 where there is no memory.

    Pods that are not ready do not count as available: they are removed first. All others that
    are old are ready.
    """
    cdef Deployment *deployment = &fleet.deployments[number]
    cdef uint32_t place = deployment.first_new, newer
    deployment.first_new = NOT_THERE
    deployment.n_old += deployment.n_new
    deployment.n_new = 0
    if deployment.n_old == 0:
        return 0
    while place != NOT_THERE:
        newer = fleet.given[place].newer
        if not fleet.given[place].is_ready and remove_old(
                fleet, deployment, place, now_ns) < 0:
            return -1
        place = newer
    return roll(fleet, number, now_ns)


cdef inline int happen(Fleet *fleet, Source source) noexcept nogil:
    """Do what happens once; -1 where there is no memory."""
    cdef GivenPod *pod
    if source.kind == OWN_PODS:
        fleet.hosts[source.what].n_pods += source.count
        weigh(fleet, source.what)
        return 0
    if source.kind == DEPLOY:
        return make(fleet, source.what, fleet.deployments[source.what].n_wanted, source.time_ns)
    if source.kind == UPDATE:
        return update(fleet, source.what, source.time_ns)
    pod = &fleet.given[source.what]
    if pod.gone or <uint32_t> pod.number != source.count:
        return 0
    pod.is_ready = True
    fleet.deployments[pod.deployment].n_ready += 1
    if fleet.deployments[pod.deployment].n_old == 0:
        return 0
    return roll(fleet, pod.deployment, source.time_ns)


cdef inline int collect(Fleet *fleet) noexcept nogil:
    """Take over when workloads hear of pods that got an address since the last time.

    Returns -1 where there is no memory.
    """
    cdef Kernel *node
    cdef End end
    cdef uint32_t number, n, deployment
    for number in range(fleet.n_hosts):
        node = fleet.hosts[number].kernel
        for n in range(node.n_ends):
            end = node.ends[n]
            deployment = fleet.given[end.pod].deployment
            if deployment == NOT_THERE:
                if push_end(fleet, end) < 0:
                    return -1
                continue
            fleet.n_events += 1
            if push_source(fleet, Source(
                    end.time_ns,
                    order_at(fleet.deployments[deployment].workload, fleet.n_events),
                    READY, end.pod, <uint32_t> end.number)) < 0:
                return -1
        node.n_ends = 0
    return 0


# --- time ---------------------------------------------------------------------------------


cdef inline void sample_pods(Fleet *fleet, int64_t until_ns) noexcept nogil:
    """Note how many pods have no node at the samples that are due before a time."""
    while (fleet.next_sample < fleet.n_samples
           and fleet.sample_times_ns[fleet.next_sample] < until_ns):
        fleet.samples[2 * fleet.next_sample] = fleet.n_unplaced
        fleet.samples[2 * fleet.next_sample + 1] = fleet.n_refused
        fleet.next_sample += 1


cdef inline int place(Fleet *fleet, int64_t until_ns, bint with_sources) noexcept nogil:
    """Let pods come and go that do so before a time, and what workloads do at it if so wanted.

    Returns 0 at the time; 1 where the first source's node is not there; 2 where the first source
    is a trace whose next event is not known; -1 where there is no memory.
    """
    cdef int64_t time_ns
    cdef Source source
    cdef End end
    cdef int answer
    while True:
        time_ns = next_ns(fleet)
        sample_pods(fleet, min(time_ns, until_ns))
        if time_ns >= until_ns and not (
                with_sources and fleet.n_sources and fleet.sources[0].time_ns == until_ns):
            return 0
        if fleet.n_sources and fleet.sources[0].time_ns == time_ns:
            source = fleet.sources[0]
            if source.kind == WAVE:
                answer = next_of_wave(fleet, source)
            elif source.kind == TRACE:
                if fleet.traces[source.what].n_done == fleet.traces[source.what].n_events:
                    return 2
                answer = next_of_trace(fleet, source)
            else:
                pop_source(fleet)
                answer = happen(fleet, source)
            if answer:
                return answer
        else:
            end = fleet.ends[0]
            pop_end(fleet)
            if free_room(fleet, end.pod, time_ns, order_of(end.number) | 1) < 0:
                return -1
