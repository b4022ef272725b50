"""Virtual time, and steps of nodes whose EC2 calls take some of it.

An event is a moment, a rank and the number of what it concerns; those three order
events, so that what happens at one moment happens in the same order however the events
came into the queue. That makes a run that skips idle looks equal to one that does not.
"""

from __future__ import annotations

import heapq
import random
from typing import TYPE_CHECKING, Any

from ipam_core.effects import Sleep
from ipam_core.errors import CloudError, IpamError, ThrottledError, UnreachableError
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core.cloud.latency import Latencies
    from ipam_core.cloud.simulated import SimulatedInstance
    from ipam_core.effects import Effect, Step

RANK_LOOP = 0
"""At one moment nodes act first,"""
RANK_CALL = 1
"""then replies arrive,"""
RANK_WORKLOAD = 2
"""then workloads and rollouts act,"""
RANK_POD = 3
"""then pods come, ask again and go."""

SDK_TRIES = 10
"""How often the agent's SDK tries a call (pool-rules section 6)."""
LONGEST_BACKOFF_S = 20.0
"""The SDK waits a random share of 2^n seconds before try n + 1, at most this."""
REFUSED_NS = 50_000_000
"""A throttled call is answered quickly."""
_MINUTE_NS = 60 * NS
_Event = tuple[int, int, int, int, "Callable[[Any], None]", Any]
"""When, rank, number, in order of arrival; what to do, and what it is given."""


class Engine:
    """A queue of events and the virtual clock: nanoseconds from 0.

    Only events of the present minute, and of minutes past, are in order, in a heap; those
    of a later minute lie in a list of their own until it comes. Most events are ends of
    pods hours away, and a heap of all of them would be too large for the cache.
    """

    __slots__ = ("_later", "_minute", "_n", "_queue", "now_ns")

    def __init__(self) -> None:
        self.now_ns = 0
        self._n = 0
        self._minute = 0
        self._queue: list[_Event] = []
        self._later: dict[int, list[_Event]] = {}

    def at(
        self, time_ns: int, rank: int, number: int, act: Callable[[Any], None], given: Any = None
    ) -> None:
        """Have `act(given)` done at a time, which is not before now."""
        self._n += 1
        event = (time_ns, rank, number, self._n, act, given)
        minute = time_ns // _MINUTE_NS
        if minute <= self._minute:
            heapq.heappush(self._queue, event)
        elif (events := self._later.get(minute)) is not None:
            events.append(event)
        else:
            self._later[minute] = [event]

    def run(self, until_ns: int) -> None:
        """Let everything happen up to a time, that moment included."""
        queue, pop = self._queue, heapq.heappop
        while True:
            while queue and queue[0][0] <= until_ns:
                self.now_ns, _, _, _, act, given = pop(queue)
                act(given)
            if queue or not self._later or min(self._later) * _MINUTE_NS > until_ns:
                break
            self._minute = min(self._later)
            queue.extend(self._later.pop(self._minute))
            heapq.heapify(queue)
        self.now_ns = until_ns


class Caller:
    """How one account's nodes reach EC2: throttled, late, and tried again by the SDK."""

    def __init__(self, engine: Engine, latencies: Latencies, *, seed: int) -> None:
        self.engine = engine
        self.latencies = latencies
        self.chance = random.Random(seed)

    def backoff_ns(self, n_tries: int) -> int:
        """Return how long the SDK waits after its n-th try."""
        return round(self.chance.random() * min(2.0**n_tries, LONGEST_BACKOFF_S) * NS)


class StepRun:
    """A node's step under way. `done(result, error)` is told of its end.

    Whatever is not an EC2 call is answered at once; a step that makes none ends within
    `begin`. A call changes EC2 at the moment its reply arrives.
    """

    __slots__ = ("_caller", "_done", "_effect", "_instance", "_n_tries", "_number", "_step",
                 "n_calls", "refusal")  # fmt: skip

    def __init__(
        self,
        caller: Caller,
        step: Step[Any],
        instance: SimulatedInstance,
        number: int,
        done: Callable[[Any, IpamError | None], None],
    ) -> None:
        self._caller = caller
        self._step = step
        self._instance = instance
        self._number = number
        self._done: Callable[[Any, IpamError | None], None] | None = done
        self._effect: Effect
        self._n_tries = 0
        self.n_calls = 0
        """EC2 calls and waits so far; 0 at the end: the step changed nothing in EC2."""
        self.refusal: CloudError | None = None
        """Why the call under way is being tried again."""

    def begin(self) -> None:
        """Run the step up to its first EC2 call or wait, or to its end."""
        self._go_on(None)

    def cancel(self) -> None:
        """Give the step up; a call that is on its way still has its effect."""
        self._done = None
        self._step.close()

    def _go_on(self, reply: Any, error: IpamError | None = None) -> None:
        if self._done is None:
            return
        engine = self._caller.engine
        while True:
            try:
                effect = self._step.send(reply) if error is None else self._step.throw(error)
            except StopIteration as end:
                self._done(end.value, None)
                return
            except IpamError as failure:
                self._done(None, failure)
                return
            if effect.api is not None:
                self._effect, self._n_tries = effect, 0
                self.n_calls += 1
                self._try(None)
                return
            if isinstance(effect, Sleep):
                self.n_calls += 1
                when_ns = engine.now_ns + round(effect.seconds * NS)
                engine.at(when_ns, RANK_CALL, self._number, self._go_on)
                return
            reply, error = self._instance.perform(effect), None

    def _try(self, _: None) -> None:
        if self._done is None:
            return
        self._n_tries += 1
        caller, now_ns = self._caller, self._caller.engine.now_ns
        try:
            self._instance.let_in(self._effect)
        except CloudError as refused:
            caller.engine.at(now_ns + REFUSED_NS, RANK_CALL, self._number, self._failed, refused)
            return
        late_ns = caller.latencies.sample_ns(self._effect.api or "", caller.chance)
        caller.engine.at(now_ns + late_ns, RANK_CALL, self._number, self._arrive)

    def _arrive(self, _: None) -> None:
        try:
            reply = self._instance.perform(self._effect)
        except CloudError as error:
            self._failed(error)
        else:
            self.refusal = None
            self._go_on(reply)

    def _failed(self, error: CloudError) -> None:
        if isinstance(error, ThrottledError | UnreachableError) and self._n_tries < SDK_TRIES:
            self.refusal = error
            caller = self._caller
            when_ns = caller.engine.now_ns + caller.backoff_ns(self._n_tries)
            caller.engine.at(when_ns, RANK_CALL, self._number, self._try)
            return
        self.refusal = None
        self._go_on(None, error)
