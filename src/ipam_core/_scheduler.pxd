"""The pods of a fleet that are of no node of their own, in C: when they come, which node each is
put on, and when they go.

They come in waves (`Arrivals`) or as was recorded (`Trace`), and are put where the scheduler
puts them: on the node with the smallest share of its room taken, the oldest of equal ones. For
this no node need be played: a pod takes its room from when it is bound until it goes. When a
pod of a limited life goes is known when it has its address, which is a whole life before. So
pods are placed up to a time (`place`), then nodes are played up to it, on their own.

At one moment workloads act first, in the order of their numbers, then pods go, in the order of
theirs. Source: what `Fleet`, `Scheduler`, and the processes of `workloads` do, which stay the
slow way; a property test compares every byte of their results.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from ipam_core._fleet_state cimport (
    GIVEN_BIT,
    TRACE,
    WAVE,
    Fleet,
    GivenPod,
    Group,
    Host,
    Queue,
    Source,
    Trace,
    TraceEvent,
    Wave,
    next_ns,
    pop_end,
    pop_source,
    push_source,
    settle_first_source,
)
from ipam_core._node_state cimport (
    DROP,
    NEVER_NS,
    NOT_THERE,
    TAKE,
    End,
    order_at,
    order_of,
    push,
    reserve,
)

# --- nodes --------------------------------------------------------------------------------


cdef inline bint is_better(const Fleet *fleet, uint32_t one, uint32_t other) noexcept nogil:
    """Return whether a pod is put on one node rather than on another."""
    cdef double share = fleet.hosts[one].share, than = fleet.hosts[other].share
    return share < than or (share == than and one < other)


cdef inline void set_place(Fleet *fleet, Group *group, uint32_t place,
                           uint32_t number) noexcept nogil:
    group.heap[place] = number
    fleet.hosts[number].place = place


cdef inline void settle(Fleet *fleet, uint32_t number) noexcept nogil:
    """Put a node into its place in the heap of its group, after its share changed."""
    cdef Host *host = &fleet.hosts[number]
    cdef Group *group = &fleet.groups[host.group]
    cdef uint32_t place = host.place, parent, child
    while place:
        parent = (place - 1) // 2
        if not is_better(fleet, number, group.heap[parent]):
            break
        set_place(fleet, group, place, group.heap[parent])
        place = parent
    while True:
        child = 2 * place + 1
        if child >= group.n_hosts:
            break
        if child + 1 < group.n_hosts and is_better(
                fleet, group.heap[child + 1], group.heap[child]):
            child += 1
        if not is_better(fleet, group.heap[child], number):
            break
        set_place(fleet, group, place, group.heap[child])
        place = child
    set_place(fleet, group, place, number)


cdef inline void weigh(Fleet *fleet, uint32_t number) noexcept nogil:
    """Work out again which share of a node's room is taken."""
    cdef Host *host = &fleet.hosts[number]
    host.share = 1.0
    if host.joined and host.room:
        host.share = <double> (host.n_pods + fleet.groups[host.group].n_daemons) / host.room
    settle(fleet, number)


cdef inline void begin_daemons(Fleet *fleet, int64_t now_ns) noexcept nogil:
    """Keep room on every node for the DaemonSets that have begun."""
    cdef uint32_t wanted, group, number
    while (fleet.n_daemon_sets
           and fleet.daemon_sets[fleet.n_daemon_sets - 1].at_ns <= now_ns):
        fleet.n_daemon_sets -= 1
        wanted = fleet.daemon_sets[fleet.n_daemon_sets].group
        for group in range(fleet.n_groups):
            fleet.groups[group].n_daemons += wanted == fleet.n_groups or wanted == group
        for number in range(fleet.n_hosts):
            weigh(fleet, number)


cdef inline uint32_t find(Fleet *fleet, uint32_t wanted, int64_t now_ns) noexcept nogil:
    """Return the node for a pod that wants a group, or any; NOT_THERE: all are full."""
    cdef uint32_t group, best = NOT_THERE
    begin_daemons(fleet, now_ns)
    for group in range(fleet.n_groups):
        if (wanted == fleet.n_groups or wanted == group) and fleet.groups[group].n_hosts:
            if best == NOT_THERE or is_better(fleet, fleet.groups[group].heap[0], best):
                best = fleet.groups[group].heap[0]
    return best if best != NOT_THERE and fleet.hosts[best].share < 1.0 else NOT_THERE


# --- pods ---------------------------------------------------------------------------------


cdef inline int bind(Fleet *fleet, uint32_t place, uint32_t number, int64_t now_ns,
                     uint64_t order) noexcept nogil:
    """Put a pod on a node: it is there from a time on; -1 where there is no memory."""
    cdef Host *host = &fleet.hosts[number]
    fleet.given[place].node = number
    host.n_pods += 1
    weigh(fleet, number)
    return push(host.kernel, now_ns, order, TAKE, place)


cdef inline void line_up(Fleet *fleet, uint32_t place) noexcept nogil:
    """Let a pod wait for a node, behind the others."""
    cdef GivenPod *pod = &fleet.given[place]
    cdef Queue *queue = &fleet.queues[pod.group]
    pod.before, pod.after = queue.last, NOT_THERE
    if queue.last == NOT_THERE:
        queue.first = place
    else:
        fleet.given[queue.last].after = place
    queue.last = place
    fleet.n_unplaced += 1


cdef inline void leave_queue(Fleet *fleet, uint32_t place) noexcept nogil:
    """Let a pod wait no more."""
    cdef GivenPod *pod = &fleet.given[place]
    cdef Queue *queue = &fleet.queues[pod.group]
    if pod.before == NOT_THERE:
        queue.first = pod.after
    else:
        fleet.given[pod.before].after = pod.after
    if pod.after == NOT_THERE:
        queue.last = pod.before
    else:
        fleet.given[pod.after].before = pod.before
    fleet.n_unplaced -= 1


cdef inline int place_waiting(Fleet *fleet, int64_t now_ns, uint64_t order) noexcept nogil:
    """Put pods that found no node where there is room now, the oldest first; -1: no memory.

    Where one finds no room none does that wants the same. `order` is that of the first; they
    are two apart.
    """
    cdef uint64_t hopeless = 0
    cdef uint32_t group, first, place, number
    while fleet.n_unplaced:
        place = NOT_THERE
        for group in range(fleet.n_groups + 1):
            first = fleet.queues[group].first
            if first != NOT_THERE and not hopeless >> group & 1 and (
                    place == NOT_THERE or fleet.given[first].number < fleet.given[place].number):
                place = first
        if place == NOT_THERE:
            return 0
        number = find(fleet, fleet.given[place].group, now_ns)
        if number != NOT_THERE:
            leave_queue(fleet, place)
            if bind(fleet, place, number, now_ns, order) < 0:
                return -1
            order += 2
        elif fleet.given[place].group == fleet.n_groups:
            return 0    # no node of any group has room
        else:
            hopeless |= <uint64_t> 1 << fleet.given[place].group
    return 0


cdef inline uint32_t create(Fleet *fleet, uint32_t group, int64_t life_ns, uint32_t node,
                            int64_t now_ns, uint64_t order) noexcept nogil:
    """Create a pod, on a node or where the scheduler puts it; return its place.

    NOT_THERE: there is no memory.
    """
    cdef uint32_t place = fleet.unused
    cdef GivenPod *pod
    if place != NOT_THERE:
        fleet.unused = fleet.given[place].after
    else:
        if reserve(<void **> &fleet.given, fleet.n_given, &fleet.room_given,
                   sizeof(GivenPod)) < 0:
            return NOT_THERE
        place = fleet.n_given
        fleet.n_given += 1
    pod = &fleet.given[place]
    fleet.n_pods += 1
    pod.number, pod.asked_ns, pod.life_ns = GIVEN_BIT | fleet.n_pods, now_ns, life_ns
    pod.heard_ns, pod.group, pod.node, pod.deployment = life_ns, group, NOT_THERE, NOT_THERE
    pod.is_ready = pod.gone = False
    if node == NOT_THERE:
        node = find(fleet, group, now_ns)
    if node == NOT_THERE:
        line_up(fleet, place)
        fleet.n_refused += now_ns >= fleet.from_ns
    elif bind(fleet, place, node, now_ns, order) < 0:
        return NOT_THERE
    return place


cdef inline int free_room(Fleet *fleet, uint32_t place, int64_t now_ns,
                          uint64_t order) noexcept nogil:
    """Let a pod take no more room: others may have it; -1 where there is no memory."""
    cdef uint32_t number = fleet.given[place].node
    fleet.given[place].gone = True
    if number == NOT_THERE:
        leave_queue(fleet, place)
        fleet.given[place].after = fleet.unused    # no node knows of it
        fleet.unused = place
        return 0
    fleet.given[place].after = fleet.going
    fleet.going = place
    fleet.hosts[number].n_pods -= 1
    weigh(fleet, number)
    return place_waiting(fleet, now_ns, order)


cdef inline int remove(Fleet *fleet, uint32_t place, int64_t now_ns, uint64_t order) noexcept nogil:
    """Remove a pod; -1 where there is no memory."""
    cdef GivenPod *pod = &fleet.given[place]
    if pod.node != NOT_THERE and push(
            fleet.hosts[pod.node].kernel, now_ns, order, DROP, place) < 0:
        return -1
    return free_room(fleet, place, now_ns, order | 1)


cdef inline void forget_gone(Fleet *fleet) noexcept nogil:
    """Use the places again of pods that are gone: their nodes have been played so far."""
    cdef uint32_t place
    while fleet.going != NOT_THERE:
        place = fleet.going
        fleet.going = fleet.given[place].after
        fleet.given[place].after = fleet.unused
        fleet.unused = place
