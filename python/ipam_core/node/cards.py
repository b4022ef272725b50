"""The order in which a node looks at the pools of its network cards.

The agent keeps what it decided of each card in a Go map, and acts in the order of its walk:
a card that meets a full subnet starts the pause for those after it, and at a start the first
that fails ends it. Source: pkg/ipamd/ipamd.go (isDatastorePoolTooLow, updateIPPoolIfRequired,
handlePreScaling) and Go 1.24, internal/runtime/maps.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipam_core.node.state import NodeState

GROUP_SLOTS = 8
"""A Go map of so many entries at most is walked from one of its slots on, around."""


def in_turn(node: NodeState) -> list[int]:
    """Return the cards in the order of a look now; ascending where the policy packs.

    What is drawn depends on the node's seed and the time alone: a look that does nothing may
    be left out, and changes no later one.
    """
    cards = node.cards
    if len(cards) < 2 or node.policy.pack:
        return cards
    chance = random.Random(hash((node.seed, node.clock_ns())))
    if len(cards) > GROUP_SLOTS:  # hash order
        return chance.sample(cards, len(cards))
    first = chance.randrange(GROUP_SLOTS)
    first = first if first < len(cards) else 0  # the slots behind the last are empty
    return cards[first:] + cards[:first]
