"""States at rest for Python: rows of numbers out of `_settle.pxd`, for many nodes in one call."""

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free

from ipam_core._rules cimport rules_of
from ipam_core._settle cimport (
    MOST_CARDS,
    Card,
    Kind,
    Rest,
    node_place,
    node_rest,
    node_settle,
    node_start,
)


cdef int read_kind(Kind *kind, limits, settings, policy, bint starts) except -1:
    """Read a kind of node out of its limits, settings and policy; maxPods comes by node."""
    cdef int64_t most = limits.max_enis
    cdef int number
    rules_of(&kind.rules, settings, policy, limits.slots, 0,
             settings.enable_prefix_delegation and limits.nitro)
    if settings.max_eni is not None:
        most = min(most, settings.max_eni)
    per_card = limits.enis_per_network_card if settings.enable_multi_nic else (limits.max_enis,)
    if len(per_card) > MOST_CARDS:
        raise ValueError(f"{len(per_card)} network cards: at most {MOST_CARDS}")
    kind.n_cards = len(per_card)
    for number in range(kind.n_cards):
        kind.sites[number].most_enis = min(most, <int64_t> per_card[number])
        kind.sites[number].has_primary = number == 0
        kind.sites[number].primary_grows = not settings.custom_networking
    kind.sites[0].most_enis = most - (settings.enable_pod_eni and limits.trunking)
    kind.starts = starts
    kind.provisions = not settings.disable_network_resource_provisioning
    kind.needs_an_eni = settings.custom_networking
    kind.scatters = not policy.pack
    kind.ipv6 = settings.enable_ipv6
    return 0


def settle_rows(kinds, settings, policy, const int64_t[::1] kind_of not None,
                const int64_t[::1] max_pods not None, const int64_t[::1] n_pods not None,
                int64_t[:, ::1] out not None):
    """Write the state at rest of each node into a column of `out`, without the GIL.

    `kinds` are pairs of `InstanceLimits` and whether the agent starts there; `kind_of` is the
    number of each node's. The rows of `out`: served, ENIs, slots used, least and most total,
    whether it flaps, whether it starts.

    Raises:
        ValueError: the lengths differ, or a number of a kind is out of range.
    """
    cdef Py_ssize_t n = kind_of.shape[0], n_kinds = len(kinds), node
    cdef Kind *read
    cdef Kind *kind
    cdef Rest rest
    if max_pods.shape[0] != n or n_pods.shape[0] != n or out.shape[0] != 7 or out.shape[1] != n:
        raise ValueError("kind_of, max_pods, n_pods and the 7 rows of out are of one length")
    for node in range(n):
        if not 0 <= kind_of[node] < n_kinds:
            raise ValueError(f"kind_of[{node}]={kind_of[node]}: 0 to {n_kinds - 1}")
    read = <Kind *> calloc(max(n_kinds, 1), sizeof(Kind))
    if read == NULL:
        raise MemoryError
    try:
        for node in range(n_kinds):
            limits, starts = kinds[node]
            read_kind(&read[node], limits, settings, policy, starts)
        with nogil:
            for node in range(n):
                kind = &read[kind_of[node]]
                kind.rules.max_pods = max_pods[node]
                node_settle(kind, n_pods[node], &rest)
                out[0, node], out[1, node], out[2, node] = rest.served, rest.enis, rest.slots_used
                out[3, node], out[4, node] = rest.total, rest.most_total
                out[5, node], out[6, node] = rest.flaps, rest.starts
    finally:
        free(read)


def settle_one(limits, settings, policy, bint starts, int64_t max_pods, int64_t n_pods):
    """Return the state at rest of one node, in the order of the rows of `settle_rows`."""
    cdef Kind kind
    cdef Rest rest
    read_kind(&kind, limits, settings, policy, starts)
    kind.rules.max_pods = max_pods
    with nogil:
        node_settle(&kind, n_pods, &rest)
    return as_tuple(&rest)


def climb_one(limits, settings, policy, bint starts, int64_t max_pods, int64_t n_pods):
    """Return what happens to pods that start one by one on a node, the pools at rest between.

    Returns the state without a pod, that of the last pod served, how many pods may start at
    once at any level and none waits (-1: any number), and the first level at which a pool
    flaps (-1: none).
    """
    cdef Kind kind
    cdef Card[MOST_CARDS] cards
    cdef Rest idle, rest
    cdef int64_t burst = -1, flaps_at = -1, free_now, pod = 0
    read_kind(&kind, limits, settings, policy, starts)
    kind.rules.max_pods = max_pods
    with nogil:
        node_settle(&kind, 0, &idle)
        rest = idle
        if kind.ipv6:
            node_settle(&kind, n_pods, &rest)
        if node_start(&kind, cards):
            while True:
                if rest.flaps and flaps_at < 0:
                    flaps_at = pod
                free_now = rest.total - pod  # the least that it has, where it does not rest
                if free_now < n_pods - pod and (burst < 0 or free_now < burst):
                    burst = free_now
                if pod == n_pods or not node_place(&kind, cards):
                    break
                pod += 1
                node_rest(&kind, cards, &rest)
    return as_tuple(&idle), as_tuple(&rest), burst, flaps_at


cdef as_tuple(const Rest *rest):
    """Return a state at rest as a tuple."""
    return (rest.served, rest.enis, rest.slots_used, rest.total, rest.most_total,
            rest.flaps != 0, rest.starts != 0)
