"""One cloud under test: every effect is performed here, and every breach noted here.

A check goes on after a breach as long as it can, so that one run shows all that is wrong.
Only where a reply is missing that the rest of the check needs, it ends early (`CheckEnded`).
"""

from __future__ import annotations

import ipaddress
import time
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from ipam_core import effects as fx
from ipam_core.errors import CloudError, IpamError, ReplyError
from ipam_core.quoting import cut, visible
from ipam_core.replies import Replies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ipam_core.cloud import Cloud
    from ipam_core.instances import InstanceLimits

T = TypeVar("T")

NO_REPLY = frozenset((
    fx.UnassignPrivateIps,
    fx.UnassignPrefixes,
    fx.DeleteWithInstance,
    fx.SetSecurityGroups,
    fx.DetachEni,
    fx.DeleteEni,
    fx.TagEni,
    fx.TagCreatedAt,
))  # fmt: skip
"""The calls whose reply is None."""
UNKNOWN_ENI = "eni-00000000000000bad"
"""An ENI that no cloud has."""


class CheckEnded(Exception):  # noqa: N818 - ends one check, whose breaches are noted
    """A check cannot go on: the reply that it needs did not come."""


class Trial:
    """Performs effects on one fresh cloud, and notes each breach in plain words.

    `within_s` is how long the cloud may take to show a change, `sleep` how to wait:
    EC2 attaches within seconds, and instance metadata lags.

    Attributes:
        breaches: what the cloud did otherwise than it must, one sentence each.
        eni_id: the primary ENI.
        subnet_id: its subnet.
    """

    def __init__(
        self,
        cloud: Cloud,
        limits: InstanceLimits,
        cidr: str,
        *,
        within_s: float = 10.0,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.cloud = cloud
        self.limits = limits
        self.network: ipaddress.IPv4Network = ipaddress.IPv4Network(cidr)
        self.within_s = within_s
        self.sleep = sleep
        self.breaches: list[str] = []
        self.enis: list[str] = []
        self._replies = Replies()

    def begin(self) -> None:
        """Read what is there at first: one ENI, the primary. Raises `CheckEnded`."""
        attached = self.do(fx.ReadAttachedEnis())
        self.need(
            len(attached) == 1,
            f"a fresh cloud has one ENI attached, the primary; metadata shows {len(attached)}",
        )
        (primary,) = attached
        self.primary: fx.AttachedEni = primary
        self.eni_id: str = primary.eni_id
        self.subnet_id: str = primary.subnet_id
        self.enis = [primary.eni_id]

    # --- verdicts -------------------------------------------------------------------

    def expect(self, holds: object, breach: str) -> bool:
        """Note a breach where what must hold does not. Return whether it holds."""
        if not holds and breach not in self.breaches:
            self.breaches.append(breach)
        return bool(holds)

    def need(self, holds: object, breach: str) -> None:
        """Note a breach and end the check where what must hold does not."""
        if not self.expect(holds, breach):
            raise CheckEnded

    def equal(self, what: str, found: object, expected: object) -> bool:
        """Note a breach where a value is not the expected one."""
        return self.expect(found == expected, f"{what}: {told(found)}; expected {told(expected)}")

    # --- effects --------------------------------------------------------------------

    def do(self, effect: fx.Effect) -> Any:
        """Perform an effect that must succeed, and return its reply, validated.

        Raises:
            CheckEnded: it failed, or its reply is not what `ipam_core.effects` promises.
        """
        name = shown(effect)
        try:
            reply = self.perform(effect)
        except IpamError as error:
            raise self._ended(f"{name} failed: {error}") from error
        if type(effect) in NO_REPLY:
            self.expect(reply is None, f"{name} replied {told(reply)}; expected None")
        try:
            return self._replies.validate(effect, reply)
        except ReplyError as error:
            raise self._ended(f"{name} replied {error.message}") from error

    def refused(
        self,
        effect: fx.Effect,
        kind: type[CloudError] = CloudError,
        *,
        code: str = "",
        changes_nothing: bool = True,
    ) -> CloudError | None:
        """Perform an effect that must fail, with an error of a class and code of EC2.

        Whatever it does, it must change nothing: what EC2 describes is compared before
        and after. Return the error, None where there was none or one of another class.
        """
        name = shown(effect)
        before = self.state() if changes_nothing else None
        error: CloudError | None = None
        try:
            reply = self.perform(effect)
        except CloudError as raised:
            self._judge(name, effect, raised, kind, code)
            error = raised if isinstance(raised, kind) else None
        except IpamError as raised:
            self.expect(False, f"{name} raised {named(raised)}; expected {kind.__name__}")
        else:
            wanted = f"{kind.__name__}{f' with code {code}' if code else ''}"
            self.expect(False, f"{name} replied {told(reply)}; expected {wanted}")
        if before is not None:
            self._expect_unchanged(name, before)
        return error

    def _judge(
        self, name: str, effect: fx.Effect, error: CloudError, kind: type[CloudError], code: str
    ) -> None:
        if not self.expect(
            isinstance(error, kind), f"{name} raised {named(error)}; expected {kind.__name__}"
        ):
            return
        if code:
            self.equal(f"{name}: code of the error", error.code, code)
        self.expect(error.code, f"{name} raised {named(error)} without a code")
        self.equal(f"{name}: `api` of the error", error.api, effect.api)

    def unchanged_by(self, effect: fx.Effect) -> None:
        """Perform an effect that may fail with a `CloudError`, and must change nothing."""
        before = self.state()
        name = shown(effect)
        try:
            self.perform(effect)
        except CloudError:
            pass
        except IpamError as error:
            self.expect(False, f"{name} raised {named(error)}; expected CloudError or a reply")
        self._expect_unchanged(name, before)

    def optional(self, effect: fx.Effect) -> None:
        """Perform an effect that may fail with a `CloudError`, and whose reply is validated."""
        try:
            self._replies.validate(effect, self.perform(effect))
        except ReplyError as error:
            self.expect(False, f"{shown(effect)} replied {error.message}")
        except CloudError:
            pass

    def perform(self, effect: fx.Effect) -> Any:
        """Perform an effect as the cloud does: a node can be driven against a trial.

        Raises:
            IpamError: as the cloud raises it.
            CheckEnded: the cloud raised what no step of a node catches.
        """
        try:
            return self.cloud.perform(effect)
        except IpamError:
            raise
        except Exception as error:
            breach = f"{shown(effect)} raised {named(error)}, which no step of a node catches"
            raise self._ended(breach) from error

    def _ended(self, breach: str) -> CheckEnded:
        self.expect(False, breach)
        return CheckEnded(breach)

    def _expect_unchanged(self, name: str, before: dict[str, object]) -> None:
        for what, now in self.state().items():
            if now != before.get(what):
                was = told(before.get(what))
                self.expect(False, f"{name} changed {what}: {told(now)}; it was {was}")

    # --- what there is ----------------------------------------------------------------

    def state(self) -> dict[str, object]:
        """Return what EC2 describes of the check's ENIs and subnet, by what it is."""
        found: dict[str, object] = {}
        for eni_id in self.enis:
            described = self.describe(eni_id)
            for name in ("status", "attachment_id", "tags"):
                found[f"{name} of {eni_id}"] = getattr(described, name)
            found[f"what {eni_id} holds"] = sorted(held_by(described))
        found["the subnet's free addresses"] = self.free()
        return found

    def describe(self, eni_id: str) -> fx.EniDescription:
        """Return an ENI as EC2 describes it."""
        (found,) = self.do(fx.DescribeEnis((eni_id,)))
        described: fx.EniDescription = found
        return described

    def free(self) -> int:
        """Return the free addresses of the primary ENI's subnet. Raises `CheckEnded`."""
        subnets: Sequence[fx.SubnetDescription] = self.do(fx.DescribeSubnets())
        for subnet in subnets:
            if subnet.subnet_id == self.subnet_id:
                return subnet.available_addresses
        known = ", ".join(subnet.subnet_id for subnet in subnets) or "none"
        raise self._ended(f"DescribeSubnets() lacks the primary ENI's subnet: {known}")

    def create(self, effect: fx.CreateEni | None = None) -> str:
        """Create an ENI; it counts from now on as one of the check's."""
        eni_id: str = self.do(effect or fx.CreateEni())
        self.enis.append(eni_id)
        return eni_id

    def attach(self, eni_id: str) -> int:
        """Attach an ENI at the lowest free device number, and wait until it is shown."""
        card = self.limits.default_network_card
        device: int = self.do(fx.FindFreeDevice(card))
        self.do(fx.AttachEni(eni_id, device, card))
        self.await_attached(eni_id)
        return device

    def await_attached(self, eni_id: str) -> None:
        """Wait until metadata shows an ENI."""
        self.eventually(
            f"metadata shows {eni_id} once it is attached",
            lambda: any(eni.eni_id == eni_id for eni in self.do(fx.ReadAttachedEnis())),
        )

    def await_available(self, eni_id: str) -> None:
        """Wait until an ENI is available, and metadata shows it no more."""
        self.eventually(
            f"{eni_id} is available once it is detached",
            lambda: self.describe(eni_id).status == "available",
        )
        self.eventually(
            f"metadata no longer shows {eni_id} once it is detached",
            lambda: all(eni.eni_id != eni_id for eni in self.do(fx.ReadAttachedEnis())),
        )

    def shown(self, eni_id: str) -> fx.AttachedEni:
        """Return an ENI as metadata shows it. Raises `CheckEnded`."""
        for eni in self.do(fx.ReadAttachedEnis()):
            if eni.eni_id == eni_id:
                attached: fx.AttachedEni = eni
                return attached
        raise self._ended(f"ReadAttachedEnis() lacks {eni_id}, which is attached")

    def eventually(self, words: str, holds: Callable[[], bool]) -> None:
        """Wait until something holds, at most `within_s`. Raises `CheckEnded`."""
        pause_s, waited_s = 0.02, 0.0
        while not holds():
            self.need(waited_s < self.within_s, f"not within {self.within_s:g} s: {words}")
            self.sleep(pause_s)
            waited_s += pause_s
            pause_s = min(2 * pause_s, 1.0)

    def inside(self, what: str, cidrs: Iterable[str]) -> None:
        """Expect addresses and blocks to be of the subnet."""
        for cidr in cidrs:
            block = ipaddress.IPv4Network(cidr)
            self.expect(
                block.subnet_of(self.network), f"{what}: {cidr} is not in subnet {self.network}"
            )


def held_by(eni: fx.EniDescription | fx.AttachedEni) -> tuple[str, ...]:
    """Return all that an ENI holds in addition to its primary address."""
    return (*eni.addresses, *eni.prefixes, *eni.ipv6_prefixes)


def shown(effect: fx.Effect) -> str:
    """Return an effect as the reader would write it: `AssignPrivateIps('eni-1', 3)`."""
    given = []
    for each in fields(effect):  # type: ignore[arg-type]  # every effect is a dataclass
        value = getattr(effect, each.name)
        if value != each.default:
            given.append(f"{each.name}={value!r}" if each.kw_only else repr(value))
    return f"{type(effect).__name__}({', '.join(given)})"


def told(value: object) -> str:
    """Return a value as a breach gives it: in one line, its start and its end."""
    return cut(visible(repr(value)), 160)


def named(error: Exception) -> str:
    """Return an error as a breach gives it."""
    return f"{type(error).__name__} ({error})" if str(error) else type(error).__name__
