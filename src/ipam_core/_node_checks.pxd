"""What a simulated node's agent decides about its pool, in C; `Agent` is the slow way."""

from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from ipam_core._bits cimport popcount
from ipam_core._freeable cimport Needs, freed_first, needs_of, pool_freeable
from ipam_core._node_state cimport (
    NEVER_NS,
    NO_STEP,
    SECOND_NS,
    SUBNET_FULL,
    THROTTLED,
    THROTTLED_STEP,
    Kernel,
    Peak,
)
from ipam_core._pool cimport N_ENIS, pool_counts, pool_expire, pool_ranked, pool_seated
from ipam_core._rules cimport Counts, Terms, decide, in_use_of
from ipam_core._slots cimport N_KINDS, SECONDARY_IP, EniState, eni_n_slots, slot_size

# --- the pool as the rules see it ---------------------------------------------------------


cdef inline int64_t peak_in_use(const Kernel *node) noexcept nogil:
    """Return the most in use within the release delay; 0 without one."""
    return node.peaks[node.first_peak].in_use if node.n_peaks else 0


cdef inline int make_room_for_peak(Kernel *node) noexcept nogil:
    """Double the ring, unrolled: its first peak in the first place."""
    cdef uint32_t room = max(8, 2 * node.room_peaks), n
    cdef Peak *grown = <Peak *> PyMem_RawRealloc(NULL, room * sizeof(Peak))
    if grown == NULL:
        return -1
    for n in range(node.n_peaks):
        grown[n] = node.peaks[(node.first_peak + n) % node.room_peaks]
    PyMem_RawFree(node.peaks)
    node.peaks, node.first_peak, node.room_peaks = grown, 0, room
    return 0


cdef inline int note_in_use(Kernel *node, int64_t in_use, int64_t now_ns) noexcept nogil:
    """Keep the most in use within the release delay; -1 where there is no memory."""
    cdef uint32_t last
    while node.n_peaks:
        last = (node.first_peak + node.n_peaks - 1) % node.room_peaks
        if node.peaks[last].in_use > in_use:
            break
        node.n_peaks -= 1
    if node.n_peaks == node.room_peaks and make_room_for_peak(node) < 0:
        return -1
    last = (node.first_peak + node.n_peaks) % node.room_peaks
    node.peaks[last] = Peak(now_ns, in_use)
    node.n_peaks += 1
    while now_ns - node.peaks[node.first_peak].time_ns > node.release_delay_ns:
        node.first_peak = (node.first_peak + 1) % node.room_peaks
        node.n_peaks -= 1
    return 0


cdef inline void count(Kernel *node, Counts *counts, int64_t now_ns) noexcept nogil:
    """Count a node's pool as `DataStore.stats` does."""
    cdef const EniState *eni
    cdef int rank, kind
    pool_expire(node.pool, now_ns)
    counts.total = counts.assigned = counts.cooling = counts.prefixes = counts.free_prefixes = 0
    for rank in range(node.pool.n_enis):
        eni = pool_ranked(node.pool, rank)
        for kind in range(N_KINDS):
            if not eni.groups[kind].attached:
                continue
            if kind != SECONDARY_IP:
                counts.prefixes += popcount(eni.groups[kind].attached)
                counts.free_prefixes += popcount(eni.groups[kind].idle)
            if not eni.excluded and pool_counts(node.pool, kind):
                counts.total += slot_size(kind) * popcount(eni.groups[kind].attached)
                counts.assigned += eni.groups[kind].n_held
                counts.cooling += eni.groups[kind].n_cooling
    counts.waiting = node.n_counted
    counts.peak_in_use = peak_in_use(node)
    counts.default_card = True


cdef inline bint is_within(int64_t since_ns, int64_t seconds, int64_t now_ns) noexcept nogil:
    """Return whether something was at most so long ago."""
    return since_ns != NEVER_NS and now_ns - since_ns <= seconds * SECOND_NS


# --- the agent ----------------------------------------------------------------------------


cdef inline bint misses(Kernel *node, const Counts *counts, const EniState *eni) noexcept nogil:
    """Return whether the pool would be low without an ENI, and get another at once."""
    cdef Counts left = counts[0]
    cdef Terms terms
    cdef int kind
    if not eni.excluded:
        for kind in range(N_KINDS):
            if pool_counts(node.pool, kind):
                left.total -= slot_size(kind) * popcount(eni.groups[kind].attached)
    for kind in range(N_KINDS):
        if kind != SECONDARY_IP:
            left.prefixes -= popcount(eni.groups[kind].attached)
            left.free_prefixes -= popcount(eni.groups[kind].idle)
    decide(&node.rules, &left, &terms)
    return terms.low


cdef inline bint frees_eni(Kernel *node, const Counts *counts, const Terms *terms,
                           int64_t now_ns) noexcept nogil:
    """Return whether a pool check would free an ENI, were the node not cordoned."""
    cdef Needs needs
    cdef uint8_t kept[N_ENIS]
    cdef uint64_t freeable
    cdef int64_t beyond = <int64_t> 1 << 32
    needs_of(&needs, node.pool, min(terms.warm_ip + terms.kept, beyond),
             min(terms.minimum_ip, beyond),
             min(node.rules.warm_prefix, beyond) if node.rules.prefix_mode else 0,
             now_ns - 60 * SECOND_NS)
    freeable = pool_freeable(node.pool, &needs, counts.total, counts.assigned, kept)
    if not freeable:
        return False
    return not (node.rules.delays_release and misses(
        node, counts, pool_seated(node.pool, freed_first(node.pool, freeable))))


cdef inline bint has_idle_eni(const Kernel *node) noexcept nogil:
    """Return whether some ENI might be freed for all that its pods say."""
    cdef const EniState *eni
    cdef int rank, kind, n_held
    for rank in range(node.pool.n_enis):
        eni = pool_ranked(node.pool, rank)
        n_held = 0
        for kind in range(N_KINDS):
            n_held += eni.groups[kind].n_held
        if not (eni.primary or eni.trunk or eni.efa or n_held):
            return True
    return False


cdef inline int check(Kernel *node, int64_t now_ns) noexcept nogil:
    """Check the pool: 1 where that does nothing, 0 where it may, -1 where there is no memory."""
    cdef Counts counts
    cdef Terms terms
    cdef bint may_shrink
    if not node.changes_pool:
        return 1
    count(node, &counts, now_ns)
    if node.rules.delays_release:
        if note_in_use(node, in_use_of(&node.rules, counts.assigned, counts.cooling), now_ns) < 0:
            return -1
        counts.peak_in_use = peak_in_use(node)
    decide(&node.rules, &counts, &terms)
    may_shrink = not is_within(node.shrunk_ns, 30, now_ns)
    if terms.low or (terms.high and may_shrink):
        return 0
    if (node.falls_back and may_shrink and terms.to_spare
            and counts.total > 16 * counts.prefixes):
        return 0
    if terms.enis_to_spare or (node.rules.prefix_mode and has_idle_eni(node)):
        return not frees_eni(node, &counts, &terms, now_ns)
    node.is_settled = (node.rules.cooling_is_available and not terms.high
                       and not node.rules.delays_release and not node.falls_back)
    return 1


cdef inline int cause_of_refusal(Kernel *node, int64_t now_ns) noexcept nogil:
    """Return why there is no address now: a place in `REFUSAL_CAUSES`."""
    cdef Counts counts
    cdef Terms terms
    cdef const EniState *eni
    cdef bint full
    cdef int rank
    if not node.is_ready:
        return 0
    if node.running != NO_STEP:
        return 1 if node.running == THROTTLED_STEP else 2
    if is_within(node.full_ns, 120, now_ns):
        return 3
    count(node, &counts, now_ns)
    decide(&node.rules, &counts, &terms)
    full = node.pool.n_enis >= node.most_enis
    for rank in range(node.pool.n_enis):
        eni = pool_ranked(node.pool, rank)
        if not eni.excluded and eni_n_slots(eni) < node.rules.slots:
            full = False
    if counts.cooling and (full or not terms.low):
        return 5
    if not terms.low:
        return 4 if counts.total >= node.rules.max_pods else 6
    if full:
        return 7
    if node.failure == SUBNET_FULL:
        return 3
    return 1 if node.failure == THROTTLED else 8
