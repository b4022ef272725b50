"""Performs a node's effects on its host's network, or records what they would do."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ipam_core import effects as fx
from ipam_core.cloud.host.operations import AddAddress, AddRule, Link, RemoveAddress, RemoveRule
from ipam_core.cloud.host.plans import plan_eni, plan_host, plan_pods, plan_tear_down
from ipam_core.cloud.host.settings import HostSettings
from ipam_core.errors import HostNetworkError

if TYPE_CHECKING:
    from ipam_core.cloud import Cloud
    from ipam_core.cloud.host.operations import Host, Operation, Rule

_log = logging.getLogger(__name__)


class HostNetwork:
    """Performs a node's effects on its host's network, and all others on `cloud`.

    Each effect may be repeated; what is as it should be stays untouched. `host` is
    `ipam_core.cloud.host.netlink.NetlinkHost`, or a `Recorder`.
    """

    def __init__(self, cloud: Cloud, host: Host, settings: HostSettings | None = None) -> None:
        self._cloud = cloud
        self._host = host
        self._settings = settings or HostSettings()

    def perform(self, effect: fx.Effect) -> Any:
        """Carry one effect out and return its reply.

        Raises `HostNetworkError`, logged once; what `cloud` raises passes through.
        """
        if not isinstance(effect, fx.HOST_EFFECTS):
            return self._cloud.perform(effect)
        try:
            for operation in self._plan(effect):
                _log.debug("ip %s", operation)
                self._host.apply(operation)
        except (OSError, ValueError) as error:
            code = getattr(error, "strerror", None) or type(error).__name__
            failure = HostNetworkError(type(effect).__name__, code, _shown(effect, error))
            _log.warning("%s", failure)
            raise failure from error
        return None

    def _plan(self, effect: fx.Effect) -> list[Operation]:
        """Return the operations, all planned before the first is applied."""
        rules = self._host.rules()
        match effect:
            case fx.SetUpHost():
                return list(plan_host(self._settings, self._link(effect.primary), rules))
            case fx.SetUpEni():
                return list(plan_eni(self._settings, effect, self._link(effect.eni), rules))
            case fx.SetUpPodRules():
                return list(plan_pods(effect, rules))
            case fx.TearDownEni():
                return list(plan_tear_down(effect, rules))
        raise TypeError(f"not an effect on the host's network: {effect!r}")

    def _link(self, eni: fx.AttachedEni) -> Link:
        found = self._host.find_link(eni)
        if found is None:
            raise ValueError(f"no link has the MAC address {eni.mac!r}")
        return found


class Recorder:
    """A host that only notes what would be done to it, in `operations`.

    Every ENI has a link, eth and its device number. Rules are kept, so that what is asked
    for again is as on a real host.
    """

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._rules: list[Rule] = []
        self._addresses: dict[str, list[str]] = {}

    def find_link(self, eni: fx.AttachedEni) -> Link:
        """Return an ENI's link."""
        card = f"c{eni.network_card}" if eni.network_card else ""
        name = f"eth{eni.device_number}{card}"
        return Link(name=name, addresses=tuple(self._addresses.get(name, ())))

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules that were added."""
        return tuple(self._rules)

    def apply(self, operation: Operation) -> None:
        """Note an operation."""
        self.operations.append(operation)
        _log.info("would do: ip %s", operation)
        match operation:
            case AddRule(rule=rule):
                self._rules.append(rule)
            case RemoveRule(rule=rule):
                self._rules.remove(rule)
            case AddAddress(link=link, address=address):
                self._addresses.setdefault(link, []).append(address)
            case RemoveAddress(link=link, address=address):
                self._addresses[link].remove(address)


def _shown(effect: fx.Effect, error: Exception) -> str:
    eni = getattr(effect, "eni", None) or getattr(effect, "primary", None)
    eni_id = eni.eni_id if eni is not None else getattr(effect, "eni_id", "")
    return f"{eni_id}: {error}" if eni_id else str(error)
