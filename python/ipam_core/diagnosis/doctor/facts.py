"""The facts of a case before any cause is judged: settings, limits, pool, decision."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ipam_core import instances
from ipam_core._dataclass import dataclass
from ipam_core.diagnosis.doctor.agent import Run
from ipam_core.diagnosis.doctor.pools import n_cooling
from ipam_core.diagnosis.inputs.case import Refusal, Source
from ipam_core.errors import DeniedError, ThrottledError

if TYPE_CHECKING:
    from datetime import datetime

    from ipam_core.diagnosis.doctor.agent import Agent
    from ipam_core.diagnosis.doctor.pools import Pool
    from ipam_core.diagnosis.inputs.case import Case, Evidence, Failure, HeldCidr, HeldEni, Sighting
    from ipam_core.instances import InstanceLimits
    from ipam_core.pool import Decision
    from ipam_core.settings import Settings

RECENT = timedelta(minutes=15)
"""An event is over if it was last seen this long before the newest time of the same kind of
file: an agent that is short asks again every 5 s, or 120 s after a full subnet, and CloudTrail
delivers within about 15 minutes."""
LEAK_RECENT = timedelta(minutes=75)
"""The same for leaked ENIs, which the agent searches every hour."""
SETTINGS = "the settings: the DaemonSet's manifest or ipamd.log"
LOG = "ipamd.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A number and its source; `assumed` if no file shows it."""

    value: int
    evidence: Evidence | None = None
    assumed: str = ""


@dataclass(slots=True, kw_only=True)
class Facts:
    """All facts by which the causes are judged, for network card 0.

    `others` are the pools of the cards that are not judged, by number. `max_pods` is None if
    no file shows it and the files contradict the usual value. A pool of `growth_cap` addresses
    does not grow: that is maxPods, if the agent's `version` has that rule. `targets_known`:
    the files show every setting that decides about growth. `refusals` are those that are
    recent and not over, by kind. `assumed` lists the values that no file shows, in words;
    `contradictions` those on which the inputs disagree.
    """

    case: Case
    agent: Agent
    variables: dict[str, Evidence]
    settings: Settings
    targets_known: bool
    limits: InstanceLimits | None
    slots: int
    max_pods: Known | None
    growth_cap: int
    version: str
    prefix_mode: bool
    enis: tuple[HeldEni, ...] | None
    pool: Pool | None
    others: dict[int, Pool]
    decision: Decision | None
    cooled_at: datetime | None
    node: str
    refused: dict[str, tuple[Evidence, ...]]
    n_waiting: int
    assumed: tuple[str, ...]
    contradictions: tuple[str, ...]

    # --- does it want to grow? ---------------------------------------------------------------

    @property
    def low(self) -> bool | None:
        """Whether the agent wants to grow; None if that is not shown.

        Its own lines count first: one that says so, or a call that it makes to grow.
        """
        if self.says_low:
            return True
        if self.decision is None or not self.targets_known:
            return None
        if self.decision.low and self.max_pods is None:
            return None  # the pool may hold maxPods addresses
        return self.decision.low

    @property
    def low_is_proven(self) -> bool:
        """Whether `low` follows without assumed values."""
        if self.says_low:
            return True
        if self.low is None:
            return False
        return not self.low or (self.max_pods is not None and not self.max_pods.assumed)

    @property
    def says_low(self) -> bool:
        """Whether the agent's log says that the pool is too low, and no later one says enough."""
        seen = self.sighting("too_low")
        if seen is None or not self.recent(seen) or self.pool is None:
            return False
        pool = self.pool.evidence
        if pool.source is Source.LOG and pool.time and seen.last.time:
            return seen.last.time >= pool.time or self.pool.assignable <= 0
        return self.pool.assignable <= 0

    @property
    def release(self) -> tuple[int, int] | None:
        """The agent's version, major and minor; None if it is not shown."""
        numbers = self.version.lstrip("v").split(".")
        return (int(numbers[0]), int(numbers[1])) if len(numbers) > 1 else None

    def before(self, release: tuple[int, int]) -> bool:
        """Return whether the agent is known to be older than a release."""
        return self.release is not None and self.release < release

    @property
    def max_enis(self) -> int | None:
        """ENIs that the type and MAX_ENI allow; None if the type is not known."""
        if self.limits is None:
            return None
        return min(self.limits.max_enis, self.settings.max_eni or self.limits.max_enis)

    @property
    def n_enis(self) -> int | None:
        """ENIs that the agent uses: those of its store, else the number that its addresses fill."""
        if self.case.state and self.enis is not None:
            return len(self.enis)
        if self.pool is None or self.pool.per_eni <= 0 or self.prefix_mode:
            return None
        return -(-self.pool.total // self.pool.per_eni)

    @property
    def trunk_place(self) -> bool:
        """Whether a place is kept for a trunk ENI that is not attached."""
        said = self.fact("eni_limit.trunk") or self.fact("places.trunk")
        if said is not None:
            return said.value != "0"
        trunking = self.limits is not None and self.limits.trunking
        return (
            self.settings.enable_pod_eni
            and trunking
            and self.enis is not None
            and self.case.state is not None
            and not any(eni.trunk for eni in self.enis)
        )

    @property
    def lost_places(self) -> int:
        """Places that the agent keeps for a trunk ENI although the type cannot have one."""
        return int(self.trunk_place and self.limits is not None and not self.limits.trunking)

    @property
    def allowed_pods(self) -> int | None:
        """Pods that the node has addresses for, and two on the host's network.

        Only the addresses count, without the cap of AWS's calculator. None if the type is not
        known.
        """
        if self.limits is None:
            return None
        allowed = instances.max_pods(self.limits, self.settings).allowed
        size = instances.ADDRESSES_PER_PREFIX if self.prefix_mode else 1
        return allowed - self.lost_places * self.limits.slots * size

    def is_full(self) -> bool | None:
        """Whether neither an ENI has a free slot nor the node room for one; None: not shown."""
        if self.enis is None or self.max_enis is None or self.case.state is None:
            return None
        places = self.max_enis - len(self.unmanaged) - self.trunk_place
        return len(self.enis) >= places and not any(self.may_grow(eni) for eni in self.enis)

    def may_grow(self, eni: HeldEni) -> bool:
        """Return whether the agent would ask for addresses on an ENI (pool-rules section 5)."""
        barred = eni.trunk or eni.excluded or (eni.primary and self.settings.custom_networking)
        return not barred and len(eni.cidrs) < self.slots

    @property
    def unmanaged(self) -> dict[str, Evidence]:
        """ENIs that the agent does not manage, by its log since its last start."""
        start = self.fact("version.version")
        return {
            eni: evidence
            for eni, evidence in (self.case.log.unmanaged.items() if self.case.log else ())
            if not (start and start.time and evidence.time and evidence.time < start.time)
        }

    # --- what is shown, and when ---------------------------------------------------------------

    @property
    def refusals(self) -> tuple[Evidence, ...]:
        """Every refusal that is recent and not over, with any reason."""
        return tuple(dict.fromkeys(one for kind in self.refused.values() for one in kind))

    @property
    def starved(self) -> tuple[Evidence, ...]:
        """The refusals because there was no address."""
        return self.refused.get(Refusal.NO_ADDRESS, ())

    def knows(self, variable: str) -> bool:
        """Return whether a variable's value is shown; a manifest shows that others are unset."""
        if variable in self.variables:
            return True
        unknown = self.case.unknown
        return self.case.manifest is not None and not {variable, "envFrom"} & unknown.keys()

    def n_cooling(self, cidr: HeldCidr) -> int:
        """Return how many released addresses of a CIDR are still cooling."""
        return n_cooling(cidr, self.settings, self.cooled_at)

    def recent(self, seen: Sighting | None, window: timedelta = RECENT) -> bool:
        """Return whether something was seen recently, by the newest time of its kind of file."""
        if seen is None:
            return False
        newest = self.case.newest.get(seen.last.source)
        when = seen.last.time
        return when is None or newest is None or newest - when <= window

    def log_gap(self) -> timedelta | None:
        """Return how long before the last refusal in the events the log ends; None: it does not."""
        logged = self.case.newest.get(Source.LOG)
        times = [
            one.time
            for one in self.refusals
            if one.source is Source.EVENTS and one.time is not None
        ]
        if logged is None or not times or max(times) - logged <= RECENT:
            return None
        return max(times) - logged

    @property
    def log_judges(self) -> bool:
        """Whether the log shows the agent at work at the time in question.

        Only then does a missing line rule out a cause.
        """
        return (
            self.case.log is not None
            and self.agent.worked is not None
            and self.agent.run is Run.WORKS
            and self.agent.worked.source is Source.LOG
            and self.log_gap() is None
        )

    def sighting(self, *kinds: str) -> Sighting | None:
        """Return the latest lines of some kinds in the log, of any age."""
        seen = self.case.log.sightings if self.case.log else {}
        found = [seen[kind] for kind in kinds if kind in seen]
        return max(found, key=lambda one: str(one.last.time or ""), default=None)

    def event(self, *reasons: str) -> Sighting | None:
        """Return the latest event on this node with one of some reasons."""
        seen = self.case.events.reasons if self.case.events else {}
        found = [seen[key] for key in seen if key[0] in reasons and key[1] in (self.node, "")]
        return max(found, key=lambda one: str(one.last.time or ""), default=None)

    def failures(self) -> list[Failure]:
        """Return the failed calls of this node, and the throttled ones of all callers."""
        found = list(self.case.log_failures.seen.values())
        known = self.fact("instance.instance_id") is not None
        for failure in self.case.trail.seen.values() if self.case.trail else ():
            others = failure.caller.startswith("i-") and known and not self.is_own(failure)
            if not others or failure.kind is ThrottledError:
                found.append(failure)
        return found

    def is_own(self, failure: Failure) -> bool:
        """Return whether a failed call is certainly this node's: from its log, or by its id."""
        own = self.fact("instance.instance_id")
        return failure.caller in ("", own.value if own else "")

    def denied(self) -> list[Failure]:
        """Return the recent calls that were denied."""
        return [
            failure
            for failure in self.failures()
            if failure.kind is DeniedError and self.recent(failure.sighting)
        ]

    def fact(self, name: str) -> Evidence | None:
        """Return a fact of the log."""
        return self.case.log.facts.get(name) if self.case.log else None
