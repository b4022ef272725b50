"""How a call goes through to the VPC: throttled, late, struck by a fault, and reported.

The classes and their order are those of simulations (`simulation/processes.py`): a throttled
call is refused quickly; any other changes EC2 at the moment its reply arrives.
"""

from __future__ import annotations

import random
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

from ipam_core._dataclass import dataclass
from ipam_core.cloud import refusals
from ipam_core.cloud.latency import Latencies
from ipam_core.cloud.refusals import Ec2Error
from ipam_core.cloud.region import Fault
from ipam_core.cloud.throttling import REFUSED_NS, Throttle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ipam_core.cloud.latency import Latency
    from ipam_core.cloud.throttling import Bucket
    from ipam_core.endpoint.callers import Caller
    from ipam_core.endpoint.clock import VpcClock
    from ipam_core.simulation.fleet.spec import FaultSpec

_REFUSALS = [each for each in vars(refusals).values() if isinstance(each, refusals.Refusal)]
_STATUSES = {each.code: each.status for each in _REFUSALS} | {
    "AccessDenied": 403,
    "AuthFailure": 401,
    "Blocked": 403,
    "InternalFailure": 500,
    "InvalidClientTokenId": 403,
    "OptInRequired": 401,
    "ServiceUnavailable": 503,
    "SignatureDoesNotMatch": 403,
    "Unavailable": 503,
    "UnauthorizedOperation": 403,
    "UnrecognizedClientException": 403,
}
"""Of the codes that are not answered with HTTP 400: EC2 API reference, "Common errors"."""
_TIMES = Counter(each.code for each in _REFUSALS)
_TEXTS = {
    each.code: each.text for each in _REFUSALS if _TIMES[each.code] == 1 and "{}" not in each.text
}
"""What EC2 says to a code, where it says the same to all and names nothing."""


class Service(Protocol):
    """What performs calls: the VPC."""

    def call(self, service: str, action: str, params: dict[str, Any]) -> dict[str, Any]:
        """Return the reply of a call, by the names of the service's model.

        Raises `Ec2Error`; nothing has changed then.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedCall:
    """A call as it ended."""

    request_id: str
    service: str
    action: str
    params: Mapping[str, Any]
    caller: Caller
    time_ns: int
    reply: Mapping[str, Any] | None = None
    error: Ec2Error | None = None


class Gate:
    """What stands before the VPC. Everything in it may be changed while it runs.

    `seed` decides latencies, which calls a fault with a probability strikes, and the ids of
    requests: the same calls one after the other, at the same times, give the same answers.
    `on_call` is given each call as it ends. Not to be shared by threads.

    Attributes:
        faults: those that are to strike, by number; times are since `start_ns`.
        start_ns: when the clock's windows of faults begin.
    """

    def __init__(
        self,
        service: Service,
        clock: VpcClock,
        *,
        seed: int = 0,
        on_call: Callable[[ServedCall], None] = lambda _: None,
    ) -> None:
        self._service = service
        self._clock = clock
        self._on_call = on_call
        self._latency_chance = random.Random(seed)
        self._fault_chance = random.Random(seed + 1)
        self._ids = random.Random(seed + 2)
        self._n_faults = 0
        self.latencies: dict[str, Latency] = {}
        self._latencies = Latencies()
        self.throttling: dict[str, Bucket] | None = {}
        self._throttle = Throttle()
        self.faults: dict[int, Fault] = {}
        self.start_ns: int = clock.now_ns()

    def next_id(self) -> str:
        """Return the id of the next request."""
        return str(uuid.UUID(int=self._ids.getrandbits(128), version=4))

    # --- settings -------------------------------------------------------------------

    def set_latencies(self, latencies: Mapping[str, Latency]) -> None:
        """State the latencies of the calls named; others keep theirs."""
        self.latencies |= latencies
        self._latencies = Latencies(self.latencies)

    def set_throttling(self, buckets: Mapping[str, Bucket] | None) -> None:
        """State the buckets of the calls named; None: no call is throttled any more."""
        if buckets is None:
            self.throttling = None
            return
        self.throttling = (self.throttling or {}) | dict(buckets)
        self._throttle = self._throttle.with_buckets(self.throttling)

    def add_faults(self, specs: Iterable[FaultSpec], *, since_ns: int = 0) -> list[int]:
        """Let calls fail, and return the faults' numbers. Windows count from `since_ns`.

        `since_ns` is itself since the start.
        """
        numbers = []
        for spec in specs:
            self._n_faults += 1
            self.faults[self._n_faults] = Fault(
                spec.api,
                spec.code,
                times=spec.times,
                message=spec.message,
                probability=spec.probability,
                from_ns=since_ns + spec.from_ns if spec.from_ns else 0,
                until_ns=None if spec.until_ns is None else since_ns + spec.until_ns,
            )
            numbers.append(self._n_faults)
        return numbers

    def since_start_ns(self) -> int:
        """Return how long the VPC has been there, by its own clock."""
        return self._clock.now_ns() - self.start_ns

    # --- as saved -------------------------------------------------------------------

    def saved(self) -> dict[str, Any]:
        """Return all of it that `restore` takes."""
        tokens, filled_s = self._throttle.saved()
        return {
            "start_ns": self.start_ns,
            "chances": [each.getstate() for each in self._chances()],
            "latencies": self.latencies,
            "throttling": self.throttling,
            "tokens": tokens,
            "filled_s": filled_s,
            "n_faults": self._n_faults,
            "faults": {str(number): fault for number, fault in self.faults.items()},
        }

    def restore(
        self,
        *,
        start_ns: int,
        chances: Iterable[Any],
        latencies: Mapping[str, Latency],
        throttling: Mapping[str, Bucket] | None,
        tokens: Mapping[str, float],
        filled_s: Mapping[str, int],
        n_faults: int,
        faults: Mapping[str, Fault],
    ) -> None:
        """Take what was saved. Raises `ValueError` or `TypeError` where it is none."""
        for chance, was in zip(self._chances(), chances, strict=True):
            chance.setstate(was)
        self.start_ns = start_ns
        self.set_latencies(latencies)
        self.set_throttling(throttling)
        self._throttle.restore(tokens, filled_s)
        self._n_faults = n_faults
        self.faults = {int(number): fault for number, fault in faults.items()}

    def _chances(self) -> tuple[random.Random, ...]:
        return self._latency_chance, self._fault_chance, self._ids

    # --- calls ----------------------------------------------------------------------

    async def call(
        self, service: str, action: str, params: dict[str, Any], caller: Caller, request_id: str
    ) -> dict[str, Any]:
        """Carry one call out and return its reply. Raises `Ec2Error`."""
        reply: dict[str, Any] | None = None
        error: Ec2Error | None = None
        try:
            await self._admit(service, action)
            self._strike(service, action, caller)
            reply = self._service.call(service, action, params)
        except Ec2Error as refused:
            error = refused
            raise
        finally:
            if reply is not None or error is not None:
                self._on_call(
                    ServedCall(
                        request_id=request_id,
                        service=service,
                        action=action,
                        params=params,
                        caller=caller,
                        time_ns=self._clock.now_ns(),
                        reply=reply,
                        error=error,
                    )
                )
        return reply

    async def _admit(self, service: str, action: str) -> None:
        """Return once a call's time has come. Raises `Ec2Error` where it comes too fast."""
        throttled = service == "ec2" and self.throttling is not None
        if throttled and not self._throttle.admits(action, self._clock.now_ns()):
            await self._clock.sleep_ns(REFUSED_NS)
            raise refusals.REQUEST_LIMIT()
        late_ns = self._latencies.sample_ns(action, self._latency_chance)
        await self._clock.sleep_ns(late_ns)

    def _strike(self, service: str, action: str, caller: Caller) -> None:
        """Raise the error of the first fault that strikes a call, using up one time of it."""
        now_ns = self.since_start_ns()
        for number, fault in list(self.faults.items()):
            if fault.strikes(action, now_ns, self._fault_chance):
                if fault.times == 0:
                    del self.faults[number]
                raise _error_of(fault, f"{service}:{action}", caller)


def _error_of(fault: Fault, permission: str, caller: Caller) -> Ec2Error:
    message = fault.message or _TEXTS.get(fault.code, "")
    if fault.code == "UnauthorizedOperation" and not fault.message:
        message = (
            f"You are not authorized to perform this operation. User: {caller.arn} is not "
            f"authorized to perform: {permission} because no identity-based policy allows the "
            f"{permission} action."
        )
    return Ec2Error(fault.code, message, _STATUSES.get(fault.code, 400))
