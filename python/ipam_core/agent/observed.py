"""Every effect of the agent's node on its way out: timed, counted, logged, and stopped.

A call that fails is logged in the real agent's words for it, and counted under the name that
it counts it by (`prometheusmetrics`, `ipamdErrInc`). Once the agent is terminating no call is
made any more: the step that wanted it is given up.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from ipam_core import effects as fx
from ipam_core.errors import CloudError, IpamError, ReplyError, SubnetFullError
from ipam_core.ipamd import log_lines as lines

if TYPE_CHECKING:
    import threading

    from ipam_core.agent.clock import Clock
    from ipam_core.agent.metrics import Metrics
    from ipam_core.cloud import Cloud
    from ipam_core.effects import Effect
    from ipam_core.ipamd.log_lines import LogLine

_log = logging.getLogger(__name__)

FAILED: dict[type[Effect], tuple[LogLine, str]] = {
    fx.AssignPrivateIps: (lines.ASSIGN_FAILED, "increaseIPPoolAllocIPAddressesFailed"),
    fx.AssignPrefixes: (lines.ASSIGN_FAILED, "increaseIPPoolAllocIPAddressesFailed"),
    fx.AssignIpv6Prefix: (lines.ASSIGN_IPV6_FAILED, "increaseIPPoolsetupENIFailed"),
    fx.UnassignPrivateIps: (lines.UNASSIGN_FAILED, "decreaseIPPool"),
    fx.UnassignPrefixes: (lines.UNASSIGN_PREFIX_FAILED, "decreaseIPPool"),
    fx.CreateEni: (lines.CREATE_FAILED, "increaseIPPoolAllocENI"),
    fx.FindFreeDevice: (lines.DEVICE_FAILED, "increaseIPPoolAllocENI"),
    fx.AttachEni: (lines.ATTACH_FAILED, "increaseIPPoolAllocENI"),
    fx.DeleteWithInstance: (lines.MODIFY_FAILED, "increaseIPPoolAllocENI"),
    fx.SetSecurityGroups: (lines.MODIFY_FAILED, "RefreshSGIDs"),
    fx.DetachEni: (lines.DETACH_FAILED, "decreaseIPPoolFreeENIFailed"),
    fx.DeleteEni: (lines.DELETE_FAILED, "decreaseIPPoolFreeENIFailed"),
    fx.TagEni: (lines.TAG_FAILED, "eniReconcileAdd"),
    fx.TagCreatedAt: (lines.TAG_FAILED, "eniReconcileAdd"),
    fx.DescribeEnis: (lines.DESCRIBE_FAILED, "increaseIPPoolGetENIaddressesFailed"),
    fx.FindNodelessEnis: (lines.LEAKS_UNKNOWN, "cleanUpLeakedENIs"),
    fx.DescribeSubnets: (lines.SUBNETS_FAILED, "increaseIPPoolAllocENI"),
    fx.ReadAttachedEnis: (lines.METADATA_FAILED, "reconcileFailedGetENIs"),
    fx.ReadSecurityGroups: (lines.METADATA_FAILED, "RefreshSGIDs"),
    fx.ReadUnschedulable: (lines.OTHER_FAILED, "isNodeNonSchedulable"),
    fx.ReadEniConfig: (lines.OTHER_FAILED, "increaseIPPoolAllocENI"),
    fx.ReadCheckpoint: (lines.OTHER_FAILED, "backingStore"),
    fx.ForgetAssignments: (lines.OTHER_FAILED, "backingStore"),
}
"""The line about an effect that failed, and where upstream counts such an error."""
_UNDOING = {
    fx.DetachEni: "FreeENIDetachErr",
    fx.DeleteEni: "FreeENIDeleteErr",
}
METADATA = "GetMetadata"
"""What upstream calls a read of instance metadata, among the calls of AWS."""


class TerminatingError(Exception):
    """The agent is ending: nothing more is asked of EC2. Not an `IpamError`: no step has it."""


class ObservedCloud:
    """Performs effects through another cloud; see above. For threads, as that one is.

    `subnet_id` is the primary ENI's subnet, which an effect need not name.
    """

    def __init__(
        self,
        cloud: Cloud,
        *,
        subnet_id: str,
        metrics: Metrics,
        clock: Clock,
        stopping: threading.Event,
    ) -> None:
        self._cloud = cloud
        self._subnet_id = subnet_id
        self._metrics = metrics
        self._clock = clock
        self._stopping = stopping

    def perform(self, effect: Effect) -> Any:
        """Carry one effect out and return its reply, or raise its error.

        Raises:
            IpamError: that of the cloud.
            TerminatingError: the agent is ending, and the effect is a call.
        """
        if self._stopping.is_set() and effect.api is not None:
            raise TerminatingError
        began = time.perf_counter()
        error: IpamError | None = None
        try:
            reply = self._cloud.perform(effect)
        except IpamError as failed:
            error = failed
            raise
        finally:
            self._note(effect, time.perf_counter() - began, error)
        if isinstance(effect, fx.ReadUnschedulable) and reply is True:
            lines.UNSCHEDULABLE.say(_log)
        return reply

    def sleep(self, seconds: float) -> None:
        """Wait as a step wants to. Raises `TerminatingError` where the agent ends meanwhile."""
        if self._clock.wait(self._stopping, seconds):
            raise TerminatingError

    def _note(self, effect: Effect, seconds: float, error: IpamError | None) -> None:
        failed = error if isinstance(error, CloudError) else None
        if effect.api is not None:
            self._metrics.call(effect.api, seconds, failed, ec2=True)
        elif isinstance(effect, fx.ReadAttachedEnis):
            self._metrics.call(METADATA, seconds, failed, ec2=False)
        if error is None or type(effect) not in FAILED:
            return
        line, function = FAILED[type(effect)]
        self._metrics.agent_error(function)
        if failed is not None and type(effect) in _UNDOING:
            self._metrics.undoing_failed(_UNDOING[type(effect)], failed)
        values = _values(effect, error)
        values["subnet_id"] = values["subnet_id"] or self._subnet_id
        line.say(_log, **values)
        if isinstance(error, SubnetFullError):
            lines.FULL_SUBNET.say(_log)


def _values(effect: Effect, error: IpamError) -> dict[str, Any]:
    """Return what the lines of `FAILED` say of an effect."""
    return {
        "error": sdk_text(error),
        "eni": getattr(effect, "eni_id", ""),
        "enis": " ".join(getattr(effect, "eni_ids", ())),
        "prefixes": " ".join(getattr(effect, "prefixes", ())),
        "subnet_id": getattr(effect, "subnet_id", ""),
        "what": type(effect).__name__,
    }


def sdk_text(error: IpamError) -> str:
    """Return an error of a call in the words of the SDK that the real agent uses."""
    if not isinstance(error, CloudError) or isinstance(error, ReplyError):
        return str(error)
    request = f", RequestID: {error.request_id}" if error.request_id else ""
    said = f": {error.message}" if error.message else ""
    return f"operation error EC2: {error.api}{request}, api error {error.code}{said}"
