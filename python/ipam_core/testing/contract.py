"""The contract of a cloud: what a node may expect of whatever performs its effects."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ipam_core._dataclass import dataclass
from ipam_core.errors import IpamError
from ipam_core.instances import limits
from ipam_core.testing import addresses, enis, reads
from ipam_core.testing.trial import CheckEnded, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ipam_core.cloud import Cloud


class CloudFactory(Protocol):
    """Makes a fresh cloud: one instance, its primary ENI alone attached.

    `instance_type` is EC2's name of a type and `cidr` the only subnet of its zone, where
    the primary address alone is taken. A cloud with a method `close` is closed after use.
    `SimulatedCloud` is such a factory.
    """

    def __call__(self, instance_type: str, /, *, cidr: str) -> Cloud:
        """Return the cloud."""


class Breach(NamedTuple):
    """One thing that a cloud did otherwise than it must."""

    check: str
    what: str


class ContractError(IpamError, AssertionError):
    """A cloud breaks the contract; `breaches` has every breach found, by check."""

    def __init__(self, breaches: tuple[Breach, ...], n_checks: int) -> None:
        n_broken = len({breach.check for breach in breaches})
        lines = [f"{n_broken} of {n_checks} checks of the cloud failed"]
        last = ""
        for check, what in breaches:
            lines += [f"{check}: {BY_NAME[check].promise}"] if check != last else []
            lines.append(f"  - {what}")
            last = check
        super().__init__("\n".join(lines))
        self.breaches = breaches


@dataclass(frozen=True, slots=True)
class Check:
    """One part of the contract. Its text is its name, for `pytest.mark.parametrize`.

    Attributes:
        name: how it is called.
        promise: what a cloud must do, in one sentence.
        instance_type: the type of instance that it needs.
        cidr: the subnet that it needs.
    """

    name: str
    body: Callable[[Trial], None]
    instance_type: str = "m5.large"
    cidr: str = "10.0.0.0/24"

    def __str__(self) -> str:
        return self.name

    @property
    def promise(self) -> str:
        """What a cloud must do, in one sentence."""
        return (self.body.__doc__ or "").split("\n", 1)[0]

    def breaches(
        self,
        factory: CloudFactory,
        *,
        within_s: float = 10.0,
        sleep: Callable[[float], object] = time.sleep,
    ) -> tuple[Breach, ...]:
        """Run the check on a fresh cloud and return every breach, none where it holds.

        The arguments are those of `check_cloud`. What `factory` raises passes through.
        """
        cloud = factory(self.instance_type, cidr=self.cidr)
        trial = Trial(cloud, limits(self.instance_type), self.cidr, within_s=within_s, sleep=sleep)
        try:
            trial.begin()
            self.body(trial)
        except CheckEnded:  # the breach is noted
            pass
        finally:
            close = getattr(cloud, "close", None)
            if close is not None:
                close()
        return tuple(Breach(self.name, what) for what in trial.breaches)

    def __call__(
        self,
        factory: CloudFactory,
        *,
        within_s: float = 10.0,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Run the check on a fresh cloud. Raises `ContractError` with every breach."""
        if found := self.breaches(factory, within_s=within_s, sleep=sleep):
            raise ContractError(found, 1)


CHECKS: tuple[Check, ...] = (
    Check("primary-eni", reads.primary_eni),
    Check("subnets", reads.subnets),
    Check("surroundings", reads.surroundings),
    Check("descriptions", reads.descriptions),
    Check("reads-change-nothing", reads.reads_change_nothing),
    Check("leaked-enis", reads.leaked_enis),
    Check("secondary-ips", addresses.secondary_ips),
    Check("secondary-ips-given-back", addresses.secondary_ips_given_back),
    Check("prefixes", addresses.prefixes),
    Check("prefixes-given-back", addresses.prefixes_given_back),
    Check("ipv6-prefix", addresses.ipv6_prefix),
    Check("address-limit", addresses.address_limit),
    Check("prefix-limit", addresses.prefix_limit, cidr="10.0.0.0/23"),
    Check(
        "subnet-without-addresses", addresses.subnet_without_addresses, "m5.xlarge", "10.0.0.0/28"
    ),
    Check("subnet-without-prefixes", addresses.subnet_without_prefixes, cidr="10.0.0.0/26"),
    Check("addresses-of-unknown-enis", addresses.unknown_enis),
    Check("creation", enis.creation),
    Check("creation-with-prefixes", enis.creation_with_prefixes),
    Check("creation-with-ipv6", enis.creation_with_ipv6),
    Check("creation-in-no-subnet", enis.creation_in_no_subnet),
    Check("born-with-tags", enis.born_with_tags),
    Check("tags", enis.tags),
    Check("attachment", enis.attachment),
    Check("free-devices", enis.free_devices),
    Check("detachment", enis.detachment),
    Check("deletion", enis.deletion),
    Check("attached-is-kept", enis.attached_is_kept),
    Check("devices-are-kept", enis.devices_are_kept),
    Check("network-cards", enis.network_cards, "p4d.24xlarge"),
    Check("attachment-limit", enis.attachment_limit),
    Check("with-the-instance", enis.with_the_instance),
    Check("security-groups", enis.security_groups),
    Check("unknown-enis", enis.unknown_enis),
    Check("whole-node", reads.whole_node),
)
"""The whole contract. Each check has a fresh cloud."""

BY_NAME = {check.name: check for check in CHECKS}
"""The checks by name."""


def check_cloud(
    factory: CloudFactory,
    *,
    without: Iterable[str] = (),
    within_s: float = 10.0,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Check that a cloud does what a node expects: every effect, its reply, its errors.

    `factory` makes a fresh cloud for each check (`CloudFactory`). `without` names checks
    that are left out, because the cloud does not have what they are about. A change may
    take `within_s` until EC2 or instance metadata shows it; `sleep` waits for it: that of
    a cloud with a clock of its own moves that clock.

    Raises:
        ContractError: the cloud breaks the contract; it lists every breach of every check.
        ValueError: `without` names no check.
    """
    left_out = set(without)
    if unknown := sorted(left_out - BY_NAME.keys()):
        raise ValueError(f"without={unknown}: no such check; there are {', '.join(BY_NAME)}")
    checks = [check for check in CHECKS if check.name not in left_out]
    found = [
        breach
        for check in checks
        for breach in check.breaches(factory, within_s=within_s, sleep=sleep)
    ]
    if found:
        raise ContractError(tuple(found), len(checks))
