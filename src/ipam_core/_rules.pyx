"""The target rules for Python: the arithmetic of `_rules.pxd`, as a tuple of its terms."""

from libc.stdint cimport int64_t

from ipam_core._rules cimport Counts, Rules, Terms, decide


cdef int rules_of(Rules *rules, object settings, object policy, int64_t slots, int64_t max_pods,
                  bint prefix_mode) except -1:
    """Read the rules of a kind of node out of its settings and its policy.

    Raises `ValueError` if the policy has a rule of its own, which is not arithmetic in C.
    """
    if policy.rule is not None:
        raise ValueError(f"policy {policy.name!r} has a rule of its own: play it (simulate)")
    rules.warm_ip = settings.warm_ip_target
    rules.minimum_ip = settings.minimum_ip_target
    rules.warm_eni = settings.warm_eni_target
    rules.warm_prefix = settings.warm_prefix_target
    rules.slots, rules.max_pods, rules.prefix_mode = slots, max_pods, prefix_mode
    rules.cooling_is_available = policy.cooling_is_available
    rules.grow_when_exhausted = policy.grow_when_exhausted
    rules.cap_at_max_pods = policy.cap_at_max_pods
    rules.delays_release = policy.release_delay_s != 0
    return 0


def terms_of(view, policy):
    """Return the terms of a `PoolView` under a policy: the fields of a `Decision`, but its texts.

    The first is why the pool is low, or is not (`Why`); the others are in the order of
    `Decision`. Numbers are of 64 bits.
    """
    cdef Rules rules
    cdef Counts counts
    cdef Terms terms
    rules_of(&rules, view.settings, policy, view.slots, view.max_pods, view.prefix_mode)
    counts.total, counts.assigned, counts.cooling = view.total, view.assigned, view.cooling
    counts.prefixes, counts.free_prefixes = view.prefixes, view.free_prefixes
    counts.waiting, counts.peak_in_use = view.waiting, view.peak_in_use
    counts.default_card = view.network_card == 0
    decide(&rules, &counts, &terms)
    return (<int> terms.why, terms.targets_defined != 0, terms.warm_ip, terms.minimum_ip,
            terms.warm, terms.available, terms.short_of, terms.over, terms.low != 0,
            terms.high != 0, terms.want, terms.want_new_eni, terms.want_addresses,
            terms.give_back, terms.to_spare, terms.kept, terms.enis_to_spare != 0)
