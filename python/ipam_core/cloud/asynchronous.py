"""Steps under asyncio: `adrive`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from ipam_core.effects import ForgetAssignments, ReadCheckpoint, Sleep
from ipam_core.errors import IpamError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ipam_core.cloud import CheckpointPort, Cloud
    from ipam_core.effects import Effect, Step

T = TypeVar("T")


@runtime_checkable
class AsyncCloud(Protocol):
    """Performs effects for one node, each as a coroutine."""

    async def aperform(self, effect: Effect) -> Any:
        """Carry one effect out and return its reply, or raise its error."""


async def adrive(
    step: Step[T],
    cloud: Cloud | AsyncCloud,
    checkpoint: CheckpointPort | None = None,
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> T:
    """Run a step to its end under asyncio and return its result: as `drive`, without blocking.

    A cloud with a coroutine `aperform` is awaited. Another one is called in a thread, one call
    at a time; the checkpoint is too. The step itself runs in the event loop: it takes
    microseconds between two effects. So pods may come and go in the same loop meanwhile.

    A task that is cancelled closes the step. A call under way in a thread goes on to its end,
    and its reply is lost, as with a process that is killed: the next reconcile finds what
    it did. `sleep` waits for a number of seconds. Raises what `drive` raises.
    """

    async def perform(effect: Effect) -> Any:
        if isinstance(effect, Sleep):
            await sleep(effect.seconds)
            return None
        if checkpoint is not None and isinstance(effect, ReadCheckpoint | ForgetAssignments):
            return await asyncio.to_thread(checkpoint.perform, effect)
        if isinstance(cloud, AsyncCloud):
            return await cloud.aperform(effect)
        return await asyncio.to_thread(cloud.perform, effect)

    try:
        effect = next(step)
        while True:
            try:
                reply = await perform(effect)
            except IpamError as error:
                effect = step.throw(error)
            else:
                effect = step.send(reply)
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        step.close()
