"""What was read of a node in trouble: every value with where it was read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ipam_core.cloud.codes import error_for
from ipam_core.errors import CloudError, SubnetFullError
from ipam_core.ipamd.messages import FULL_SUBNET_WORDING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A value and where it was read: file, line (None: the whole file), and when it was true."""

    file: str
    line: int | None
    value: str
    time: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Sighting:
    """Something told again and again: how often, and the last time."""

    last: Evidence
    count: int = 1

    def again(self, evidence: Evidence, count: int = 1) -> None:
        """Count one more; the latest is kept, whatever the order in which files are read."""
        self.count += count
        if evidence.time is None or self.last.time is None or evidence.time >= self.last.time:
            self.last = evidence

    def counted(self) -> Evidence:
        """Return the latest, with how often there was one like it."""
        if self.count == 1:
            return self.last
        return replace(self.last, value=f"{self.last.value} ({self.count} times)")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCidr:
    """A secondary IP or a prefix on an ENI: who holds addresses, and when others were released."""

    cidr: str
    is_prefix: bool
    pods: tuple[str, ...] = ()
    released: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldEni:
    """An ENI as the agent's store has it."""

    eni_id: str
    device_number: int
    primary: bool
    trunk: bool
    efa: bool
    excluded: bool
    subnet_id: str
    cidrs: tuple[HeldCidr, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """A node's ENIs by network card, as /v1/enis shows them, and when it was written at least."""

    cards: dict[int, tuple[HeldEni, ...]]
    evidence: Evidence
    newest: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolCounts:
    """A pool's counts as the agent logs them; `ips_per_eni` is 0 where it is not told."""

    total: int
    assigned: int
    cooling: int
    prefixes: int = 0
    ips_per_eni: int = 0


@dataclass(slots=True, kw_only=True)
class LogSummary:
    """What ipamd.log tells: facts (the latest of each), and sightings of what goes wrong."""

    facts: dict[str, Evidence] = field(default_factory=dict)
    pool: dict[int, tuple[PoolCounts, Evidence]] = field(default_factory=dict)
    sightings: dict[str, Sighting] = field(default_factory=dict)
    unmanaged: dict[str, Evidence] = field(default_factory=dict)
    leaked: dict[str, Evidence] = field(default_factory=dict)
    newest: datetime | None = None
    n_lines: int = 0
    n_broken: int = 0


@dataclass(slots=True, kw_only=True)
class EventSummary:
    """What Kubernetes' events tell: pods refused by node, and sightings by reason and node."""

    refused: dict[str, dict[str, Sighting]] = field(default_factory=dict)
    reasons: dict[tuple[str, str], Sighting] = field(default_factory=dict)
    newest: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One way in which an EC2 call fails; `kind` is what an agent would make of it."""

    api: str
    code: str
    caller: str
    kind: type[CloudError]
    sighting: Sighting


@dataclass(slots=True, kw_only=True)
class Failures:
    """EC2 calls that failed, from the log or from CloudTrail.

    By API, code and caller: the session name in CloudTrail, an instance id where the
    node's own role is used; "" in the log, which is this node's.
    """

    seen: dict[tuple[str, str, str], Failure] = field(default_factory=dict)

    def add(self, api: str, code: str, text: str, evidence: Evidence, caller: str = "") -> None:
        """Count one failure."""
        key = (api, code, caller)
        if key in self.seen:
            self.seen[key].sighting.again(evidence)
            return
        kind = type(error_for(api, code))
        if FULL_SUBNET_WORDING in text.lower():
            kind = SubnetFullError
        self.seen[key] = Failure(
            api=api, code=code, caller=caller, kind=kind, sighting=Sighting(last=evidence)
        )


@dataclass(slots=True, kw_only=True)
class Case:
    """All that was read. `variables` are the agent's, by source: manifest, endpoint or log."""

    state: NodeState | None = None
    manifest: dict[str, Evidence] | None = None
    unknown: dict[str, str] = field(default_factory=dict)
    endpoint: dict[str, Evidence] | None = None
    log: LogSummary | None = None
    log_failures: Failures = field(default_factory=Failures)
    events: EventSummary | None = None
    trail: Failures | None = None
    trail_newest: datetime | None = None
    callers: dict[str, int] = field(default_factory=dict)
    role: str = ""
    files: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def now(self) -> datetime | None:
        """Return the newest time that anything read tells: when the files were taken."""
        times = (
            self.state.newest if self.state else None,
            self.log.newest if self.log else None,
            self.events.newest if self.events else None,
            self.trail_newest,
        )
        return max((time for time in times if time is not None), default=None)
