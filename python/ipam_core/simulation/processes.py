"""Steps of nodes in virtual time: each EC2 call takes time, and may be tried again."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from ipam_core.cloud.retry import backoff_s, tries_again
from ipam_core.cloud.throttling import REFUSED_NS
from ipam_core.effects import Sleep
from ipam_core.errors import CloudError, IpamError
from ipam_core.simulation.engine import RANK_CALL
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core.cloud.latency import Latencies
    from ipam_core.cloud.simulated import SimulatedInstance
    from ipam_core.effects import Effect, Step
    from ipam_core.simulation.engine import Engine


class ApiClient:
    """How one account's nodes call EC2: with throttling, latency and the SDK's tries."""

    def __init__(self, engine: Engine, latencies: Latencies, *, seed: int) -> None:
        self.engine = engine
        self.latencies = latencies
        self.chance: random.Random = random.Random(seed)


class StepProcess:
    """A running step of a node. `done(result, error)` is called at its end.

    All effects that are not EC2 calls are answered at once; a step without a call ends within
    `begin`. A call changes EC2 at the moment its reply arrives.
    """

    __slots__ = ("_client", "_done", "_effect", "_instance", "_n_tries", "_number", "_step",
                 "n_calls", "refusal")  # fmt: skip

    def __init__(
        self,
        client: ApiClient,
        step: Step[Any],
        instance: SimulatedInstance,
        number: int,
        done: Callable[[Any, IpamError | None], None],
    ) -> None:
        self._client = client
        self._step = step
        self._instance = instance
        self._number = number
        self._done: Callable[[Any, IpamError | None], None] | None = done
        self._effect: Effect
        self._n_tries = 0
        self.n_calls: int = 0
        """EC2 calls and waits so far; 0 at the end: the step changed nothing in EC2."""
        self.refusal: CloudError | None = None
        """Why the current call is tried again."""

    def begin(self) -> None:
        """Run the step up to its first EC2 call or wait, or to its end."""
        self._go_on(None)

    def cancel(self) -> None:
        """Cancel the step; a call that was already sent still has its effect."""
        self._done = None
        self._step.close()

    def _go_on(self, reply: Any, error: IpamError | None = None) -> None:
        if self._done is None:
            return
        engine = self._client.engine
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
        client, now_ns = self._client, self._client.engine.now_ns
        try:
            self._instance.admit(self._effect)
        except CloudError as refused:
            client.engine.at(now_ns + REFUSED_NS, RANK_CALL, self._number, self._failed, refused)
            return
        late_ns = client.latencies.sample_ns(self._effect.api or "", client.chance)
        client.engine.at(now_ns + late_ns, RANK_CALL, self._number, self._arrive)

    def _arrive(self, _: None) -> None:
        try:
            reply = self._instance.perform(self._effect)
        except CloudError as error:
            self._failed(error)
        else:
            self.refusal = None
            self._go_on(reply)

    def _failed(self, error: CloudError) -> None:
        if tries_again(error, self._n_tries):
            self.refusal = error
            client = self._client
            when_ns = client.engine.now_ns + round(backoff_s(self._n_tries, client.chance) * NS)
            client.engine.at(when_ns, RANK_CALL, self._number, self._try)
            return
        self.refusal = None
        self._go_on(None, error)
