"""Carries out a node's effects: EC2, a simulated region, instance metadata.

    codes.py        AWS error codes to typed errors
    refusals.py     EC2's errors: codes, texts, sources
    subnets.py      subnets of the simulated region: counted, or address by address
    region.py       a simulated region: ENIs, attachments, refusals
    simulated.py    an instance in it, which performs a node's effects
    asynchronous.py  `adrive`: the same under asyncio
    simulated_cloud.py  one instance and its region in one line
    throttling.py   EC2's token buckets: when a call is refused
    latency.py      how long calls take
    cloudtrail.py   calls in the form of CloudTrail
    aws.py          EC2 itself
    small_session.py  a session that knows a node's calls alone; small_model.py: what that is
    ec2.py          its calls through botocore, and their errors
    replies.py      its replies as values
    handler.py      which method carries an effect out
    retry.py        how often and when the SDK tries a call again
    metadata.py     facts about an instance: the protocol, and EC2's own answers
    imds.py         the same from the instance metadata service
    host/           links, routes and rules on the host
    dry_run.py      reads another cloud but changes nothing
    plan.py         what a node would call next, without calling it

`drive` runs one step against a cloud that answers at once; a simulator with latency
keeps its own queue.

May import: node, and below.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ipam_core.effects import ForgetAssignments, ReadCheckpoint, Sleep
from ipam_core.errors import IpamError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core.effects import Effect, Step

T = TypeVar("T")

# The application decides where a library's log is written.
logging.getLogger("ipam_core").addHandler(logging.NullHandler())


class Cloud(Protocol):
    """Performs effects for one node."""

    def perform(self, effect: Effect) -> Any:
        """Carry one effect out and return its reply, or raise its error."""


class CheckpointPort(Protocol):
    """Performs what a node asks of its checkpoint."""

    def perform(self, effect: ReadCheckpoint | ForgetAssignments) -> Any:
        """Carry one effect out and return its reply, or raise its error."""


def drive(
    step: Step[T],
    cloud: Cloud,
    checkpoint: CheckpointPort | None = None,
    *,
    sleep: Callable[[float], object] = time.sleep,
) -> T:
    """Run a step to its end and return its result.

    Each effect is performed by `cloud`, `Sleep` by `sleep`, and those of the checkpoint by
    `checkpoint`, if one is given. An `IpamError` that they raise is thrown into the step,
    which handles it. Other exceptions close the step and are raised.
    """
    try:
        effect = next(step)
        while True:
            try:
                if isinstance(effect, Sleep):
                    reply = sleep(effect.seconds)
                elif checkpoint and isinstance(effect, ReadCheckpoint | ForgetAssignments):
                    reply = checkpoint.perform(effect)
                else:
                    reply = cloud.perform(effect)
            except IpamError as error:
                effect = step.throw(error)
            else:
                effect = step.send(None if isinstance(effect, Sleep) else reply)
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        step.close()
