"""A cloud of one's own: a node on a provider that is not EC2.

    python examples/own_cloud.py

A node yields effects; a cloud carries them out. This one keeps its interfaces in a dictionary. A
real one would call an API in each method, and raise a `CloudError` where that fails.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any

from ipam_core import Node, Sandbox, Settings, drive, effects, instances
from ipam_core.effects import AttachedEni, Effect, EniDescription
from ipam_core.errors import CloudError, NotFoundError


@dataclass
class Interface:
    """A network interface of the provider."""

    eni_id: str
    primary: str
    device_number: int = -1
    addresses: list[str] = field(default_factory=list)


class DictionaryCloud:
    """One instance in one network; what is not an instance's business is refused."""

    def __init__(self, cidr: str) -> None:
        self._free = [str(host) for host in IPv4Network(cidr).hosts()]
        self.interfaces: dict[str, Interface] = {}
        self._new(device_number=0)

    def perform(self, effect: Effect) -> Any:
        """Carry one effect out and return its reply."""
        method: Callable[[Any], Any] | None = getattr(self, type(effect).__name__, None)
        if method is None:
            raise CloudError(type(effect).__name__, "Unsupported", "no such thing here")
        return method(effect)

    def _new(self, device_number: int = -1) -> Interface:
        interface = Interface(f"if-{len(self.interfaces)}", self._free.pop(0), device_number)
        self.interfaces[interface.eni_id] = interface
        return interface

    def _named(self, eni_id: str) -> Interface:
        if eni_id not in self.interfaces:
            raise NotFoundError("DictionaryCloud", "InvalidNetworkInterfaceID.NotFound")
        return self.interfaces[eni_id]

    # --- reads ------------------------------------------------------------------------

    def ReadAttachedEnis(self, _: effects.ReadAttachedEnis) -> tuple[AttachedEni, ...]:
        return tuple(
            AttachedEni(
                eni_id=each.eni_id,
                device_number=each.device_number,
                subnet_id="net-1",
                primary_address=each.primary,
                addresses=tuple(each.addresses),
            )
            for each in self.interfaces.values()
            if each.device_number >= 0
        )

    def DescribeEnis(self, effect: effects.DescribeEnis) -> tuple[EniDescription, ...]:
        return tuple(
            EniDescription(
                eni_id=each.eni_id,
                addresses=tuple(each.addresses),
                attachment_id=f"at-{each.eni_id}" if each.device_number >= 0 else None,
            )
            for each in map(self._named, effect.eni_ids)
        )

    def ReadUnschedulable(self, _: effects.ReadUnschedulable) -> bool:
        return False

    def ReadCheckpoint(self, _: effects.ReadCheckpoint) -> tuple[()]:
        return ()

    def ReadNodeTags(self, _: effects.ReadNodeTags) -> dict[str, str]:
        return {"node.k8s.amazonaws.com/instance_id": "vm-1"}

    def FindFreeDevice(self, _: effects.FindFreeDevice) -> int:
        return max(each.device_number for each in self.interfaces.values()) + 1

    # --- changes ------------------------------------------------------------------------

    def AssignPrivateIps(self, effect: effects.AssignPrivateIps) -> tuple[str, ...]:
        given = [self._free.pop(0) for _ in range(effect.count)]
        self._named(effect.eni_id).addresses += given
        return tuple(given)

    def UnassignPrivateIps(self, effect: effects.UnassignPrivateIps) -> None:
        interface = self._named(effect.eni_id)
        interface.addresses = [each for each in interface.addresses if each not in effect.addresses]
        self._free += effect.addresses

    def CreateEni(self, effect: effects.CreateEni) -> str:
        interface = self._new()
        interface.addresses = [self._free.pop(0) for _ in range(effect.n_addresses)]
        return interface.eni_id

    def AttachEni(self, effect: effects.AttachEni) -> str:
        self._named(effect.eni_id).device_number = effect.device_number
        return f"at-{effect.eni_id}"

    def TagEni(self, _: effects.TagEni) -> None:
        """Nothing here has tags."""

    def DeleteWithInstance(self, _: effects.DeleteWithInstance) -> None:
        """Every interface goes with its instance."""

    def DetachEni(self, effect: effects.DetachEni) -> None:
        self._named(effect.eni_id).device_number = -1

    def DeleteEni(self, effect: effects.DeleteEni) -> None:
        self._free.append(self._named(effect.eni_id).primary)
        del self.interfaces[effect.eni_id]


def main() -> None:
    """Grow a pool over two interfaces and shrink it again."""
    cloud = DictionaryCloud("10.0.0.0/24")
    now_ns = 0
    settings = Settings.from_env({"WARM_IP_TARGET": "3", "ENABLE_SUBNET_DISCOVERY": "false"})
    node = Node(instances.limits("m5.large"), settings, clock_ns=lambda: now_ns)

    def check() -> None:
        nonlocal now_ns
        now_ns += 65_000_000_000
        drive(node.adjust(), cloud, sleep=lambda seconds: None)
        drive(node.reconcile(), cloud, sleep=lambda seconds: None)
        stats = node.store.stats(now_ns)
        print(f"{len(node.store):3} pods  {stats.enis} interfaces  {stats.total:3} addresses")

    drive(node.start(), cloud)
    for n in range(12):
        while node.try_add_pod(Sandbox(f"c{n}"), f"default/web-{n}") is None:
            check()
    for n in range(11):
        node.remove_pod(Sandbox(f"c{n}"))
    for _ in range(3):
        check()


if __name__ == "__main__":
    main()
