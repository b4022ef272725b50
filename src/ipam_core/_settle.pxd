"""The state at rest of a new node's pools, from the target rules alone: counts, no addresses.

A card's pool at rest is where growing step by step ends (`card_grow`, as node/grow.py does), and
where a check then gives nothing back. A step fills the one ENI that is not full, or adds one, so
counts are enough: there is no more than one ENI with a free slot. With one card the pods may be
placed all at once: the pool ends as it does pod by pod, unless maxPods stops its growth. Then the
pod with which it does is searched (`node_place_all`). With several cards the pods are placed one
by one, because the first card that has an address serves the next pod.

Pods are taken to fill prefix after prefix. Where a pod gets any free address instead, only
WARM_PREFIX_TARGET above 1 makes a difference: then `most_total` bounds what the pool may hold.
A pool that grows and shrinks without end rests nowhere: it `flaps`, and is left as it is after
growing; `least_total` is what it has after shrinking.

Cost of `card_settle`: a few integer steps for each ENI, or for each prefix where the pool takes
them one by one. All of it is C without Python. Source: pool-rules sections 1, 4 and 5.
"""

from libc.stdint cimport int64_t

from ipam_core._rules cimport (
    ADDRESSES_PER_PREFIX,
    Counts,
    Rules,
    Terms,
    decide,
    prefixes_for,
)

cdef enum:
    MOST_CARDS = 64


cdef struct Site:             # a network card, as EC2 and the settings allow
    int64_t most_enis
    bint has_primary
    bint primary_grows


cdef struct Kind:             # a kind of node
    Rules rules
    Site sites[MOST_CARDS]
    int n_cards
    bint starts               # the agent accepts the settings
    bint provisions           # it attaches ENIs and addresses
    bint needs_an_eni         # custom networking: it does not start with an empty pool
    bint scatters             # a pod gets any free address, not one of the fullest prefix
    bint ipv6                 # each card has a /80, which never runs out


cdef struct Card:             # what a network card's pool holds
    int64_t enis
    int64_t growable          # ENIs that take addresses for pods
    int64_t used              # slots
    int64_t assigned
    int64_t least_total       # in addresses, as it shrinks
    int64_t most_total
    bint flaps


cdef struct Rest:             # a node's state at rest
    int64_t served
    int64_t enis
    int64_t slots_used
    int64_t total
    int64_t most_total
    bint flaps
    bint starts


cdef inline int64_t slot_addresses(const Rules *rules) noexcept nogil:
    """Return how many addresses a slot holds."""
    return ADDRESSES_PER_PREFIX if rules.prefix_mode else 1


cdef inline void card_decide(const Kind *kind, const Card *card, bint default_card,
                             int64_t waiting, Terms *terms) noexcept nogil:
    """Apply the target rules to what a card holds."""
    cdef Counts counts
    counts.total = card.used * slot_addresses(&kind.rules)
    counts.assigned, counts.cooling = card.assigned, 0
    counts.prefixes = counts.free_prefixes = 0
    if kind.rules.prefix_mode:
        counts.prefixes = card.used
        counts.free_prefixes = card.used - prefixes_for(card.assigned)
    counts.waiting, counts.peak_in_use = waiting, card.assigned
    counts.default_card = default_card
    decide(&kind.rules, &counts, terms)


cdef inline bint card_grow(const Kind *kind, Card *card, int number,
                           int64_t waiting) noexcept nogil:
    """Grow a card's pool by one step; return whether it grew."""
    cdef int64_t room = card.growable * kind.rules.slots - card.used
    cdef Terms terms
    card_decide(kind, card, number == 0, waiting, &terms)
    if not terms.low or terms.want == 0:
        return False
    if room > 0:
        card.used += min(room, terms.want)
        return True
    if card.enis >= kind.sites[number].most_enis or terms.want_new_eni == 0:
        return False
    card.enis += 1
    card.growable += 1
    card.used += terms.want_new_eni
    return True


cdef inline bint card_shrink(const Kind *kind, Card *card, int number) noexcept nogil:
    """Give back what is over, and an ENI without pods; return whether anything went.

    An ENI is looked at only without targets in addresses: with them the pool holds just what
    they ask for, and without any ENI that holds some of it they would not be met.
    """
    cdef int64_t slots = kind.rules.slots
    cdef int64_t in_use = card.assigned
    cdef Terms terms
    cdef bint went = False
    card_decide(kind, card, number == 0, 0, &terms)
    if kind.rules.prefix_mode:
        in_use = prefixes_for(card.assigned)
    if terms.high and card.used > in_use:
        card.used -= min(terms.give_back, card.used - in_use)
        went = True
    if (not terms.targets_defined and terms.enis_to_spare and not kind.rules.delays_release
            and card.enis > kind.sites[number].has_primary
            and in_use <= (card.growable - 1) * slots):
        card.enis -= 1
        card.growable -= 1
        card.used = min(card.used, card.growable * slots)
        went = True
    return went


cdef inline void card_bounds(const Kind *kind, Card *card, int number) noexcept nogil:
    """Set the bounds of a card's total at rest, where it does not flap."""
    cdef int64_t warm = kind.rules.warm_prefix
    cdef int64_t held, most_slots
    card.least_total = card.most_total = card.used * slot_addresses(&kind.rules)
    if (not kind.rules.prefix_mode or not kind.scatters or number != 0 or warm < 2
            or kind.rules.warm_ip or kind.rules.minimum_ip
            or card.assigned <= ADDRESSES_PER_PREFIX):
        return
    # Prefixes before the last step, were no prefix free; then it asked for `warm` of them.
    warm = min(warm, <int64_t> 1 << 32)  # beyond any pool
    held = min((card.assigned - 1) // ADDRESSES_PER_PREFIX + warm,
               (kind.rules.max_pods - 1) // ADDRESSES_PER_PREFIX)
    most_slots = (card.growable + kind.sites[number].most_enis - card.enis) * kind.rules.slots
    held = min(held + warm, most_slots)
    if kind.rules.cap_at_max_pods:
        held = min(held, prefixes_for(kind.rules.max_pods))
    card.most_total = max(card.most_total, held * ADDRESSES_PER_PREFIX)


cdef inline void card_settle(const Kind *kind, Card *card, int number,
                             int64_t waiting) noexcept nogil:
    """Let a card's pool come to rest; where it flaps, leave it as it is after growing."""
    cdef Card grown
    card.flaps = False
    if not kind.provisions:
        card_bounds(kind, card, number)
        return
    while card_grow(kind, card, number, waiting):
        pass
    grown = card[0]
    while card_shrink(kind, card, number):
        grown.least_total = card.used * slot_addresses(&kind.rules)
        if card_grow(kind, card, number, waiting):
            grown.flaps = True
            grown.most_total = grown.used * slot_addresses(&kind.rules)
            card[0] = grown
            return
    card_bounds(kind, card, number)


cdef inline void card_start(const Kind *kind, Card *card, int number) noexcept nogil:
    """Set a card's pool to that of a new node, before its first check."""
    cdef const Site *site = &kind.sites[number]
    card.enis = site.has_primary
    card.growable = site.has_primary and site.primary_grows
    card.used = card.assigned = card.least_total = card.most_total = 0
    card.flaps = False


cdef inline bint node_start(const Kind *kind, Card *cards) noexcept nogil:
    """Let a node start and its pools come to rest; return whether its agent is ready.

    A node with IPv6 has no pool that grows or shrinks: for it, return False.
    """
    cdef int number
    if not kind.starts or kind.ipv6:
        return False
    for number in range(kind.n_cards):
        card_start(kind, &cards[number], number)
        card_settle(kind, &cards[number], number, 0)
        if kind.needs_an_eni and kind.provisions and cards[number].used == 0:
            return False
    return True


cdef inline bint node_place(const Kind *kind, Card *cards) noexcept nogil:
    """Let one more pod ask, and the pools come to rest; return whether it was served."""
    cdef int number
    cdef bint served = False
    for number in range(kind.n_cards):
        if cards[number].assigned < cards[number].used * slot_addresses(&kind.rules):
            cards[number].assigned += 1
            card_settle(kind, &cards[number], number, 0)
            return True
    for number in range(kind.n_cards):
        card_settle(kind, &cards[number], number, 0 if served else 1)
        if not served and cards[number].assigned < (
                cards[number].used * slot_addresses(&kind.rules)):
            cards[number].assigned += 1
            card_settle(kind, &cards[number], number, 0)
            served = True
    return served


cdef inline void card_place(const Kind *kind, Card *card, int64_t n_pods) noexcept nogil:
    """Let pods ask, all at once, on a node with one card, and its pool come to rest."""
    cdef int64_t before = -1
    while card.assigned != before:
        before = card.assigned
        card.assigned = min(n_pods, card.used * slot_addresses(&kind.rules))
        card_settle(kind, card, 0, n_pods - card.assigned)


cdef inline void node_place_all(const Kind *kind, Card *card, int64_t n_pods) noexcept nogil:
    """Let pods ask one by one on a node with one card, and its pool come to rest.

    Below maxPods addresses the pool is that of all pods at once. With the first pod for which it
    is not, it takes its last step; the pods after that one make it grow no more.
    """
    cdef Card start = card[0], tried
    cdef int64_t below = 0, at = n_pods, half
    card_place(kind, card, n_pods)
    if card.used * slot_addresses(&kind.rules) < kind.rules.max_pods or n_pods == 0:
        return
    while at - below > 1:  # with `at` pods the pool has maxPods addresses, with `below` fewer
        half = below + (at - below) // 2
        tried = start
        card_place(kind, &tried, half)
        if tried.used * slot_addresses(&kind.rules) < kind.rules.max_pods:
            below = half
        else:
            at = half
    card[0] = start
    card_place(kind, card, at)
    card_place(kind, card, n_pods)


cdef inline void node_rest(const Kind *kind, const Card *cards, Rest *rest) noexcept nogil:
    """Sum up what the cards of a node that started hold."""
    cdef int number
    rest.served = rest.enis = rest.slots_used = rest.total = rest.most_total = 0
    rest.flaps, rest.starts = False, True
    for number in range(kind.n_cards):
        rest.served += cards[number].assigned
        rest.enis += cards[number].enis
        rest.slots_used += cards[number].used
        rest.total += cards[number].least_total
        rest.most_total += cards[number].most_total
        rest.flaps = rest.flaps or cards[number].flaps


cdef inline void node_settle(const Kind *kind, int64_t n_pods, Rest *rest) noexcept nogil:
    """Give a node's state at rest with so many pods."""
    cdef Card[MOST_CARDS] cards
    cdef int64_t _pod
    rest.served = rest.enis = rest.slots_used = rest.total = rest.most_total = 0
    rest.flaps = rest.starts = False
    if kind.ipv6 and kind.starts:
        rest.served, rest.starts = n_pods, True
        rest.enis = rest.slots_used = kind.n_cards if kind.provisions else 1
        rest.total = rest.most_total = rest.enis * (<int64_t> 1 << 48)
        return
    if not node_start(kind, cards):
        return
    if kind.n_cards == 1:
        node_place_all(kind, &cards[0], n_pods)
    else:
        for _pod in range(n_pods):
            if not node_place(kind, cards):
                break
    node_rest(kind, cards, rest)
