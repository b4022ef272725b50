"""What the agent's log says of its node: at the start, and around each step."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ipam_core.instances import ADDRESSES_PER_PREFIX
from ipam_core.ipamd import log_lines as lines
from ipam_core.node.timers import RECONCILE_INTERVAL_S
from ipam_core.units import NS

if TYPE_CHECKING:
    from ipam_core.agent.surroundings import NodeFacts
    from ipam_core.node import Node
    from ipam_core.pool import Decision

_log = logging.getLogger(__name__)


class NodeLog:
    """Writes the real agent's lines about one node. It reads the node, and changes nothing."""

    def __init__(self, node: Node, facts: NodeFacts) -> None:
        self._node = node
        self._facts = facts

    def before_start(self) -> None:
        """Say what the node is, and its settings."""
        settings, instance = self._node.settings, self._facts.instance
        for warning in settings.warnings:
            _log.warning("%s", warning)
        for line, value in (
            (lines.CUSTOM_NETWORKING, settings.custom_networking),
            (lines.SUBNET_DISCOVERY, settings.enable_subnet_discovery),
            (lines.PREFIX_DELEGATION, settings.enable_prefix_delegation),
        ):
            line.say(_log, value=str(value).lower())
        lines.ZONE.say(_log, zone=instance.zone)
        lines.INSTANCE.say(_log, instance_id=instance.instance_id)
        lines.TYPE.say(_log, instance_type=instance.instance_type)
        lines.SUBNET.say(_log, subnet_id=instance.subnet_id)
        if settings.max_eni is not None:
            lines.MAX_ENI.say(_log, value=settings.max_eni)
        if settings.enable_prefix_delegation and not self._node.nitro:
            lines.NOT_NITRO.say(_log, type=instance.instance_type)

    def started(self) -> None:
        """Say that the node is ready, and by which targets it goes."""
        node, settings = self._node, self._node.settings
        for eni_id in sorted(node.unmanaged):
            lines.UNMANAGED.say(_log, eni=eni_id)
        lines.NODE_READY.say(_log)
        if node.mode != "ipv6":
            lines.TARGETS.say(
                _log,
                max_pods=node.max_pods,
                warm_ip=settings.warm_ip_target,
                warm_prefix=settings.warm_prefix_target,
                warm_eni=settings.warm_eni_target,
                minimum_ip=settings.minimum_ip_target,
            )

    def before_check(self) -> str:
        """Say what the pool holds and what comes of it; return upstream's name for that, or ""."""
        node = self._node
        if not node.changes_pool:
            return ""
        function = ""
        for card in node.cards:
            decision = node.decide(card)
            lines.POOL.say(
                _log,
                card=card,
                total=decision.view.total,
                assigned=decision.view.assigned,
                cooling=decision.view.cooling,
            )
            if decision.low:
                function = "increaseDatastorePool"
                self._say_low(card, decision)
            elif decision.high and node.timers.may_shrink(node.clock_ns()):
                function = function or "decreaseDatastorePool"
                lines.DECREASE.say(_log, card=card)
        return function

    def _say_low(self, card: int, decision: Decision) -> None:
        node = self._node
        if not decision.targets_defined:
            lines.WARM_ENI.say(
                _log,
                card=card,
                available=max(decision.available, 0),
                target=decision.warm,
                per_eni=ADDRESSES_PER_PREFIX if node.prefix_mode else node.slots,
            )
        lines.INCREASE.say(_log, card=card)
        store = node.stores[card]
        if store.growable_enis(node.slots):
            return
        enis = store.enis()
        n_excluded = sum(eni.excluded for eni in enis)
        has_room = node.has_room_for_eni(card)
        lines.PLACES.say(
            _log,
            card=card,
            enis=len(enis),
            usable=len(enis) - n_excluded,
            max_eni=node.max_enis,
            unmanaged=node.n_unmanaged[card],
            trunk=int(card == 0 and node.limits.trunking and node.lacks_trunk()),
            excluded=n_excluded,
            room=str(has_room).lower(),
        )
        if not has_room:
            lines.ENI_LIMIT.say(_log)

    def checked(self, *, shrank: bool) -> None:
        """Say that addresses were given back."""
        if shrank:
            lines.DECREASED.say(_log)

    def before_reconcile(self, now_ns: int) -> None:
        """Say that the pool is compared with metadata and EC2."""
        changed_ns = self._node.timers.changed_ns
        passed_s = 0 if changed_ns is None else (now_ns - changed_ns) // NS
        lines.RECONCILE.say(_log, passed=passed_s, interval=RECONCILE_INTERVAL_S)

    def reconciled(self, began_ns: int) -> None:
        """Say that it agrees now, unless a read failed: it is due again then."""
        changed_ns = self._node.timers.changed_ns
        if changed_ns is not None and changed_ns >= began_ns:
            lines.RECONCILED.say(_log)
