"""The target rules: from a pool's counts and settings to what the agent decides.

The one place where the arithmetic of pool-rules sections 1 and 4 (docs/rules.md), and of the
better rules of section 8, is written; the agent's source for them is pkg/ipamd/ipamd.go of
aws/amazon-vpc-cni-k8s (datastoreTargetState, isDatastorePoolTooLow, isDatastorePoolTooHigh,
getPrefixesNeeded, shouldRemoveExtraENIs). `ipam_core.pool.decide` is its face for Python, with
the texts. All of it is C without Python: no time, no I/O, no randomness.
"""

from libc.stdint cimport int64_t

cdef enum:
    ADDRESSES_PER_PREFIX = 16

cdef enum Why:                # why a pool is low, or is not
    AT_MAX_PODS = 0
    SHORT_OF_TARGETS = 1
    NONE_AVAILABLE = 2        # the warm target is 0
    SHORT_OF_WARM = 3
    PODS_WAIT = 4


cdef struct Rules:            # of a kind of node
    int64_t warm_ip
    int64_t minimum_ip
    int64_t warm_eni
    int64_t warm_prefix
    int64_t slots             # addresses or prefixes of an ENI, without its primary address
    int64_t max_pods
    bint prefix_mode
    bint cooling_is_available
    bint grow_when_exhausted
    bint cap_at_max_pods
    bint delays_release


cdef struct Counts:           # of one network card's pool
    int64_t total
    int64_t assigned
    int64_t cooling
    int64_t prefixes
    int64_t free_prefixes
    int64_t waiting
    int64_t peak_in_use
    bint default_card         # cards above 0 use fixed targets whatever the settings say


cdef struct Terms:            # as the fields of `pool.Decision`
    int64_t warm_ip
    int64_t minimum_ip
    int64_t warm
    int64_t available
    int64_t short_of
    int64_t over
    int64_t want
    int64_t want_new_eni
    int64_t want_addresses
    int64_t give_back
    int64_t to_spare
    int64_t kept
    bint targets_defined
    bint low
    bint high
    bint enis_to_spare
    Why why


cdef inline int64_t capped(int64_t target) noexcept nogil:
    """Return a target, at most 2^50: beyond any pool, and products of it still fit a word."""
    return min(target, <int64_t> 1 << 50)


cdef inline int64_t prefixes_for(int64_t n_addresses) noexcept nogil:
    """Return how many prefixes hold so many addresses, which are not below 0."""
    return (n_addresses + ADDRESSES_PER_PREFIX - 1) // ADDRESSES_PER_PREFIX


cdef inline int64_t in_use_of(const Rules *rules, int64_t assigned, int64_t cooling) noexcept nogil:
    """Return how many addresses no pod can have now, as the policy counts."""
    return assigned if rules.cooling_is_available else assigned + cooling


cdef inline void decide(const Rules *rules, const Counts *counts, Terms *terms) noexcept nogil:
    """Apply the target rules to a pool's counts."""
    cdef int64_t in_use = in_use_of(rules, counts.assigned, counts.cooling)
    cdef int64_t available = counts.total - in_use
    cdef int64_t waiting = counts.waiting if rules.grow_when_exhausted else 0
    cdef int64_t size = ADDRESSES_PER_PREFIX if rules.prefix_mode else rules.slots
    cdef int64_t warm_ip = capped(rules.warm_ip) if counts.default_card else 1
    cdef int64_t minimum_ip = capped(rules.minimum_ip) if counts.default_card else 1
    cdef int64_t warm = capped(rules.warm_prefix if rules.prefix_mode else rules.warm_eni)
    cdef int64_t kept = 0, missing, unserved, room, needed
    cdef bint targets_defined = warm_ip != 0 or minimum_ip != 0
    if rules.delays_release:  # what was in use within the release delay may be wanted again
        kept = max(counts.peak_in_use - in_use, 0)

    terms.short_of = terms.over = 0
    if targets_defined:
        missing = max(warm_ip - available, minimum_ip - counts.total, 0)
        terms.to_spare = max(min(available - kept - waiting - warm_ip,
                                 counts.total - minimum_ip), 0)
        terms.short_of, terms.over = missing, terms.to_spare
        if rules.prefix_mode:
            terms.short_of = prefixes_for(missing)
            if counts.default_card:
                needed = in_use + kept + waiting + warm_ip
                terms.over = max(min(counts.free_prefixes,
                                     counts.prefixes - prefixes_for(needed),
                                     counts.prefixes - prefixes_for(minimum_ip)), 0)
    else:
        missing = max(size * warm - available, 0)
        terms.to_spare = max(available - kept - waiting - max(size * warm, 1), 0)

    if counts.total >= rules.max_pods:
        terms.why, terms.low = AT_MAX_PODS, False
    elif targets_defined:
        terms.why, terms.low = SHORT_OF_TARGETS, terms.short_of > 0
    elif warm == 0:
        terms.why, terms.low = NONE_AVAILABLE, available == 0
    else:
        terms.why, terms.low = SHORT_OF_WARM, available < size * warm
    unserved = max(waiting - available, 0)
    if unserved and not terms.low and counts.total < rules.max_pods:
        terms.why, terms.low = PODS_WAIT, True

    if rules.prefix_mode:
        terms.want = max(1, terms.short_of if targets_defined
                         else max(warm - counts.free_prefixes, 0), prefixes_for(unserved))
        terms.want_addresses = max(1, missing, unserved)
        terms.give_back = (terms.over if targets_defined
                           else max(counts.free_prefixes - warm, 0))
        if rules.delays_release and not targets_defined:
            # Nothing whose loss would make the pool low, and be asked for again at once.
            terms.give_back = min(terms.give_back, terms.to_spare // size)
        terms.high = terms.give_back > 0
    else:
        terms.want = max(terms.short_of if targets_defined else rules.slots, unserved)
        terms.want_addresses = terms.want
        terms.give_back = terms.over
        terms.high = targets_defined and terms.over > 0
    if rules.cap_at_max_pods:
        room = max(rules.max_pods - counts.total, 0)
        terms.want = min(terms.want, prefixes_for(room) if rules.prefix_mode else room)
        terms.want_addresses = min(terms.want_addresses, room)

    terms.warm_ip, terms.minimum_ip, terms.warm = warm_ip, minimum_ip, warm
    terms.targets_defined, terms.available, terms.kept = targets_defined, available, kept
    terms.want_new_eni = min(terms.want, rules.slots)
    terms.enis_to_spare = targets_defined or (
        available - kept >= (warm + 1) * rules.slots * (size if rules.prefix_mode else 1))


cdef int rules_of(Rules *rules, object settings, object policy, int64_t slots, int64_t max_pods,
                  bint prefix_mode) except -1
