"""What was read about a node in trouble: every value with its source."""

from __future__ import annotations

from dataclasses import field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from ipam_core._dataclass import dataclass
from ipam_core.cloud.codes import error_for
from ipam_core.errors import CloudError, SubnetFullError
from ipam_core.policy import FULL_SUBNET_WORDING

if TYPE_CHECKING:
    from datetime import datetime

_Key = TypeVar("_Key")


MOST_ADDRESSES = 1 << 17
"""More than any node has: 64 ENIs of 63 /28s are 64,512. A larger count is damaged."""


class Source(StrEnum):
    """The kind of file of a value; each kind has a newest time of its own.

    `PRINTED` events have ages, not times: they can be compared only with each other.
    """

    LOG = "log"
    CONTAINER = "container log"
    PLUGIN = "plugin log"
    EVENTS = "events"
    PRINTED = "printed events"
    TRAIL = "CloudTrail"
    STATE = "ENIs"
    SETTINGS = "settings"
    NODE = "node"
    METRICS = "metrics"
    CHECKPOINT = "checkpoint"
    GIVEN = "given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A value and its source: file, line (None: no single line), and when it was true."""

    file: str
    line: int | None
    value: str
    time: datetime | None = None
    source: Source = Source.SETTINGS

    @property
    def place(self) -> str:
        """Its file and line, as `ipamd.log:12`."""
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(slots=True, kw_only=True)
class Sighting:
    """Something seen repeatedly: how often, the first time and the last."""

    last: Evidence
    count: int = 1
    first: Evidence = field(init=False)

    def __post_init__(self) -> None:
        """Use the one seen as the first."""
        self.first = self.last

    def again(self, evidence: Evidence, count: int = 1) -> None:
        """Count one more; first and last are by time, in any order of the files."""
        self.count += count
        if later(evidence, self.last):
            self.last = evidence
        elif later(self.first, evidence):
            self.first = evidence

    def counted(self) -> Evidence:
        """Return the latest, with the number of those like it."""
        if self.count == 1:
            return self.last
        return replace(self.last, value=f"{self.last.value} ({self.count} times)")


def later(one: Evidence, than: Evidence) -> bool:
    """Return whether `one` is not before `than`; without times the order of reading counts."""
    return one.time is None or than.time is None or one.time >= than.time


def note(into: dict[_Key, Sighting], key: _Key, evidence: Evidence, count: int = 1) -> None:
    """Count a sighting of a key."""
    if key in into:
        into[key].again(evidence, count)
    else:
        into[key] = Sighting(last=evidence, count=count)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCidr:
    """A secondary IP or a prefix on an ENI: holders of addresses, and releases of others."""

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
    """A node's ENIs by network card, as /v1/enis shows them; it was not written before its time."""

    cards: dict[int, tuple[HeldEni, ...]]
    evidence: Evidence
    newest: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolCounts:
    """A pool's counts as the agent logs them; `ips_per_eni` is 0 where it is not in the log."""

    total: int
    assigned: int
    cooling: int
    prefixes: int = 0
    ips_per_eni: int = 0


@dataclass(slots=True, kw_only=True)
class LogSummary:
    """The content of the agent's log: the latest of each fact, and sightings of events.

    `starts` are the agent's starts in the order read. `stale` are restored addresses that
    the agent dropped. `n_known` counts the lines whose text is known.
    """

    facts: dict[str, Evidence] = field(default_factory=dict)
    pool: dict[int, tuple[PoolCounts, Evidence]] = field(default_factory=dict)
    sightings: dict[str, Sighting] = field(default_factory=dict)
    starts: list[Evidence] = field(default_factory=list)
    unmanaged: dict[str, Evidence] = field(default_factory=dict)
    leaked: dict[str, Evidence] = field(default_factory=dict)
    stale: dict[str, Evidence] = field(default_factory=dict)
    n_lines: int = 0
    n_broken: int = 0
    n_known: int = 0


class Refusal(StrEnum):
    """Why the kubelet could not set up a pod's network, by its event."""

    NO_ADDRESS = "no address"
    UNREACHABLE = "agent unreachable"
    OTHER = "other"


@dataclass(slots=True, kw_only=True)
class EventSummary:
    """The content of Kubernetes' events: refused pods, by node, pod and reason; other reasons.

    `started` are the pods that started: an earlier refusal of one is over.
    """

    refused: dict[str, dict[tuple[str, Refusal], Sighting]] = field(default_factory=dict)
    reasons: dict[tuple[str, str], Sighting] = field(default_factory=dict)
    started: dict[str, Evidence] = field(default_factory=dict)
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One way in which an EC2 call fails; `kind` is its error class."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeObject:
    """The Node of the API server; `branch_enis` is None if it advertises none."""

    name: str
    evidence: Evidence
    instance_type: str = ""
    max_pods: int | None = None
    branch_enis: int | None = None
    unschedulable: bool = False
    not_ready: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A file that looks like an input and was not read: why, and how to make it readable."""

    file: str
    why: str

    def __str__(self) -> str:
        """Return it in one line."""
        return f"{self.file}: not read: {self.why}"


@dataclass(slots=True, kw_only=True)
class Case:
    """All that was read. `variables` are the agent's, by source: manifest, endpoint or log.

    `other_logs` have the form of the agent's logs and are from other programs.
    """

    state: NodeState | None = None
    manifest: dict[str, Evidence] | None = None
    unknown: dict[str, str] = field(default_factory=dict)
    endpoint: dict[str, Evidence] | None = None
    image: Evidence | None = None
    own_role: Evidence | None = None
    log: LogSummary | None = None
    container: LogSummary | None = None
    plugin: LogSummary | None = None
    log_failures: Failures = field(default_factory=Failures)
    events: EventSummary | None = None
    trail: Failures | None = None
    callers: dict[str, int] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, NodeObject] = field(default_factory=dict)
    kubelet_max_pods: Evidence | None = None
    metrics: dict[str, Evidence] = field(default_factory=dict)
    bad_checkpoints: list[Evidence] = field(default_factory=list)
    newest: dict[Source, datetime] = field(default_factory=dict)
    files: list[tuple[str, str]] = field(default_factory=list)
    other_logs: list[str] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def saw(self, source: Source, time: datetime | None) -> None:
        """Keep the newest time of a kind of file."""
        known = self.newest.get(source)
        if time is not None and (known is None or time > known):
            self.newest[source] = time

    def now(self) -> datetime | None:
        """Return the newest time of all that was read: when the files were collected."""
        times = [time for source, time in self.newest.items() if source is not Source.PRINTED]
        return max(times, default=None)
