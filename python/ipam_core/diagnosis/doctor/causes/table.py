"""Every cause: how it is judged, and what proves it, makes it likely, or rules it out.

If several causes are found with the same certainty, they are printed in the order of this
table. It is also the table of docs/doctor.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass
from ipam_core.diagnosis.doctor.causes import (
    answers,
    custom,
    ec2,
    enis,
    limits,
    outside,
    start,
    targets,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core.diagnosis.doctor.facts import Facts
    from ipam_core.diagnosis.doctor.finding import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One cause. `of_pool`: not in IPv6 mode, unless a call's answer or an event shows it.

    `proves`, `likely` and `rules_out` are texts for people, as in the docs.
    """

    name: str
    judge: Callable[[Facts], Finding]
    proves: str
    likely: str
    rules_out: str
    of_pool: bool = False


_AT_WORK = "a log at work without it"
_GROWTH = f"{_AT_WORK}; a pool that is not low; free addresses, and no pod refused"
_CALL = "the same in CloudTrail, of a caller that may be another node"

CAUSES = (
    Cause(
        name=start.NOT_STARTED,
        judge=start.not_started,
        proves="the agent's last start ends in `Initialization failure`, a panic or a setting "
        "that is refused; it cannot reach the API server; its container waits for it and it "
        "never starts",
        likely="it started again and again, or its log ends after the start, and pods are "
        "refused or probes fail",
        rules_out="a log at work after the last start; /v1/enis or metrics",
    ),
    Cause(
        name="agent cannot be reached",
        judge=start.unreachable,
        proves="pods refused with `127.0.0.1:50051`, `ipamd.sock`, or a deadline",
        likely="failed probes or restarts of aws-node; a Node that is not ready because its CNI "
        "is missing",
        rules_out="a log at work, or /v1/enis, without such events",
    ),
    Cause(
        name="checkpoint cannot be restored",
        judge=start.bad_checkpoint,
        proves="an ipam.json of another version, or with an address twice",
        likely="",
        rules_out="an ipam.json without such, or a log at work",
    ),
    Cause(
        name="missing permission",
        judge=ec2.missing_permission,
        proves="a denied call in the node's own log, or the event MissingIAMPermissions",
        likely=_CALL,
        rules_out=_GROWTH,
    ),
    Cause(
        name="throttled API",
        judge=ec2.throttled,
        proves="RequestLimitExceeded in the log of a node whose pool is low",
        likely=_CALL,
        rules_out=_GROWTH,
    ),
    Cause(
        name="unschedulable node",
        judge=outside.unschedulable,
        proves="the agent says so and its pool is low",
        likely="the event NodeNotSchedulable, or the Node's `unschedulable`",
        rules_out=f"AWS_MANAGE_ENIS_NON_SCHEDULABLE; NodeSchedulable since; {_GROWTH}",
    ),
    Cause(
        name="ENI not in instance metadata",
        judge=limits.not_in_metadata,
        proves="the agent gives up waiting for an ENI, or finds none, and its pool is low",
        likely="the same, and the pool is not shown",
        rules_out=_GROWTH,
    ),
    Cause(
        name="limits of the type",
        judge=limits.limits_wrong,
        proves="the agent says that it has none; PrivateIpAddressLimitExceeded and a "
        "c.maxIPsPerENI above the table's; AttachmentLimitExceeded at fewer ENIs than the table's",
        likely="PrivateIpAddressLimitExceeded alone: the store differs from EC2",
        rules_out=_GROWTH,
    ),
    Cause(
        name="custom networking without room",
        judge=custom.custom_networking,
        proves="no ENIConfig, and the agent does not start or its pool is low; the ENIConfig's "
        "subnet is full; every slot is used next to the primary, and pods are refused",
        likely="the same, and the pool is not shown",
        rules_out=f"custom networking is off; {_GROWTH}",
        of_pool=True,
    ),
    Cause(
        name="subnet out of addresses",
        judge=ec2.subnet_full,
        proves="InsufficientFreeAddressesInSubnet, or the wording of [#3105], in the log of a "
        "node whose pool is low",
        likely=_CALL,
        rules_out=_GROWTH,
        of_pool=True,
    ),
    Cause(
        name="subnet out of /28s",
        judge=ec2.no_free_prefix,
        proves="InsufficientCidrBlocks in the log of a node whose pool is low ([#2749])",
        likely=_CALL,
        rules_out=f"prefix mode is off; {_GROWTH}",
        of_pool=True,
    ),
    Cause(
        name="no subnet allowed",
        judge=ec2.no_subnet,
        proves="`no valid subnets available for ENI creation` (v1.22 and later), pool low",
        likely="the same, and the pool is not shown",
        rules_out=_GROWTH,
    ),
    Cause(
        name="attached ENIs that the agent does not use",
        judge=limits.unknown_enis,
        proves="AttachmentLimitExceeded counts more ENIs than the agent has ([#547])",
        likely="",
        rules_out=_GROWTH,
    ),
    Cause(
        name="unmanaged ENIs",
        judge=enis.unmanaged,
        proves="the agent does not manage some ENIs, no ENI can be added, and its pool is low "
        "([#1077])",
        likely="the same, and the pool is not shown",
        rules_out=_GROWTH,
    ),
    Cause(
        name=enis.ABOVE,
        judge=enis.above_addresses,
        proves="maxPods is shown, every slot is used, and pods are refused",
        likely="the same, by a log that ends before the refusals",
        rules_out="enough addresses for maxPods; free addresses",
        of_pool=True,
    ),
    Cause(
        name="ENI limit",
        judge=enis.eni_limit,
        proves="no ENI can be added and every slot is used, by /v1/enis and the type or by the "
        "log, and pods "
        "are refused",
        likely="the same, by a log that ends before the refusals",
        rules_out=f"free slots, or room for another ENI; no pod refused; {_AT_WORK}",
        of_pool=True,
    ),
    Cause(
        name="maxPods reached",
        judge=targets.max_pods,
        proves="the pool holds maxPods addresses and pods are refused (after v1.16.0, [PR 2745]); "
        "the scheduler finds every node full",
        likely="the scheduler finds some nodes full",
        rules_out="a pool below maxPods; an agent up to v1.16.0",
        of_pool=True,
    ),
    Cause(
        name="minimum-only stall",
        judge=targets.minimum_only,
        proves="MINIMUM_IP_TARGET without WARM_IP_TARGET, total at the minimum ([#2650])",
        likely="the same, by a log that ends before the refusals",
        rules_out="other settings; a pool that is low",
        of_pool=True,
    ),
    Cause(
        name="cooling addresses counted as available",
        judge=targets.cooling,
        proves="every free address is within IP_COOLDOWN_PERIOD of its pod's end, by the log "
        "([#2896])",
        likely="the same by /v1/enis alone, whose time is not known",
        rules_out="no address cools; other addresses are free; a pool that is low",
        of_pool=True,
    ),
    Cause(
        name="warm target 0",
        judge=targets.warm_zero,
        proves="WARM_ENI_TARGET (or WARM_PREFIX_TARGET) 0, no IP target, nothing free ([#2482])",
        likely="the same, by a log that ends before the refusals",
        rules_out="other settings; free addresses and no pod refused",
        of_pool=True,
    ),
    Cause(
        name="branch ENIs",
        judge=outside.branch_enis,
        proves="Insufficient vpc.amazonaws.com/pod-eni; BranchAllocationFailed; "
        "TrunkENICreationFailed; `No trunk ENI found`",
        likely="`failed to get Branch ENI resource`, and the pod has not started since",
        rules_out="events, or a log at work, without such",
    ),
    Cause(
        name="checkpoint cannot be written",
        judge=outside.checkpoint_unwritable,
        proves="`Failed to update backing store`, and pods are refused",
        likely="the same, and no refusal is shown",
        rules_out=_AT_WORK,
    ),
    Cause(
        name="restored addresses dropped",
        judge=outside.dropped_at_restart,
        proves="",
        likely="`uses unknown IP ... presuming stale/dead` since the last start: the pods may "
        "still run ([PR 3876])",
        rules_out=_AT_WORK,
    ),
    Cause(
        name="plugin of another version",
        judge=outside.plugin_version,
        proves="`Rejecting AddNetwork request: wrong client version`",
        likely="",
        rules_out=_AT_WORK,
    ),
    Cause(
        name="refused although addresses are free",
        judge=outside.refused_although_free,
        proves="pods refused with an error that no other cause names",
        likely="pods refused because no address was free, while the pool has some: `[possible]` "
        "only",
        rules_out="no pod refused",
    ),
    Cause(
        name="another answer of EC2",
        judge=answers.other_answer,
        proves="any other error of a call in the log of a node whose pool is low",
        likely="the same, and the pool is not shown",
        rules_out=_GROWTH,
    ),
    Cause(
        name="leaked ENIs",
        judge=limits.leaked,
        proves="",
        likely="detached ENIs that the agent fails to delete, and the subnet is full",
        rules_out=_AT_WORK,
    ),
)


def as_markdown() -> str:
    """Return the table in the form of the docs."""
    rows = [
        f"| {each.name} | {each.proves or '-'} | {each.likely or '-'} | {each.rules_out} |"
        for each in CAUSES
    ]
    head = ("| cause | what proves it | what makes it likely | what rules it out |",)
    return "\n".join((*head, "| --- | --- | --- | --- |", *rows))
