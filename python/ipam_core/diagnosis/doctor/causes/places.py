"""The places for ENIs: whether all are taken, and how a node gets more."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ipam_core import instances
from ipam_core.cloud.codes import ATTACHMENT_LIMIT
from ipam_core.diagnosis.doctor.causes.common import ATTACH_CONTROLLER
from ipam_core.diagnosis.fixes import Change, Fix, Option, one_of, set_env

if TYPE_CHECKING:
    from ipam_core.diagnosis.doctor.facts import Facts
    from ipam_core.diagnosis.inputs.case import Evidence

FIRST_WITH_PREFIXES = (1, 9)
ATTACHED = re.compile(r"Interface count (?P<count>\d+) exceeds the limit")
"""EC2's words if an instance has all its ENIs: the count includes the refused one."""


def unknown_to_agent(facts: Facts) -> tuple[int, int, list[Evidence]] | None:
    """Return the ENIs that EC2 counts, those that the agent uses, and the evidence."""
    for failure in facts.failures():
        if failure.code != ATTACHMENT_LIMIT or not facts.recent(failure.sighting):
            continue
        said = ATTACHED.search(failure.sighting.last.value)
        used = facts.n_enis
        if said is not None and used is not None and used + len(facts.unmanaged) < int(said[1]) - 1:
            return int(said[1]) - 1, used, [failure.sighting.counted()]
    return None


def limits_are_wrong(facts: Facts) -> bool:
    """Return whether the agent asked for more ENIs than EC2 allows, and uses all of those.

    An agent with EC2's limits does not ask: it logs that the limit is reached.
    """
    return any(
        facts.n_enis == int(said["count"]) - 1
        for failure in facts.failures()
        if failure.code == ATTACHMENT_LIMIT and facts.recent(failure.sighting)
        if (said := ATTACHED.search(failure.sighting.last.value))
    )


def full(facts: Facts) -> list[Evidence] | None:
    """Return the evidence that every place is taken, [] if there is room, None: not shown."""
    said = facts.sighting("eni_limit")
    evidence = [said.last] if said and facts.recent(said) else []
    evidence += [
        failure.sighting.last
        for failure in facts.failures()
        if failure.code == ATTACHMENT_LIMIT and facts.recent(failure.sighting)
    ]
    if evidence:
        return evidence
    is_full = facts.is_full()
    if is_full:
        return [facts.case.state.evidence] if facts.case.state else []
    return [] if is_full is False or facts.log_judges else None


def room(facts: Facts) -> str:
    """Return the evidence that a node has room for more."""
    if facts.enis is not None and facts.max_enis is not None and facts.case.state:
        return f"{len(facts.enis)} of {facts.max_enis} ENIs, with free slots or places"
    return "the log does not say so"


def room_of(subnet: str, n_addresses: int) -> dict[str, object]:
    """Return the scenario step that gives a subnet so many free addresses."""
    return {"op": "subnet", "id": subnet, "free_ips": n_addresses, "free_prefixes": n_addresses}


def right_max_pods(facts: Facts) -> int | None:
    """Return the maxPods that the node has addresses for; None: not known."""
    if facts.allowed_pods is not None:
        return facts.allowed_pods
    if facts.pool is None or facts.pool.assignable > 0 or facts.pool.total == 0:
        return None
    return facts.pool.total + instances.HOST_NETWORK_PODS


def _is_above(facts: Facts, right: int) -> bool:
    """Return whether maxPods, as shown or else the usual value, is above the right one."""
    if facts.max_pods is not None:
        return facts.max_pods.value > right
    return facts.limits is not None and facts.limits.usual_max_pods > right


def node_group(facts: Facts, max_pods: int) -> Fix:
    """Return the node group to make with another maxPods."""
    assert facts.limits is not None
    return Fix(
        commands=(
            (
                f"eksctl create nodegroup --cluster CLUSTER --node-type "
                f"{facts.limits.instance_type} --max-pods-per-node {max_pods}"
            ),
        )
    )


def more_places(facts: Facts) -> Fix:
    """Return how the node gets more, or fewer pods: the right maxPods first, as `explain` does."""
    limits, settings = facts.limits, facts.settings
    if settings.max_eni and (limits is None or settings.max_eni < limits.max_enis):
        return set_env(MAX_ENI=None)
    options: list[Option] = []
    notes: list[str] = []
    change: Change | None = None
    right = right_max_pods(facts)
    if right is not None and limits is not None and _is_above(facts, right):
        title = f"maxPods {right}, so that no more pods are placed than have addresses"
        options.append(Option(title=title, commands=node_group(facts, right).commands))
        notes.append(
            f"First: maxPods {right} is right here, so that no more pods are placed than "
            "there are addresses for; this node's kubelet keeps its own until it is set "
            "(Karpenter: kubelet.maxPods, or reservedENIs where an ENI serves no pod)."
        )
    elif right is not None:
        notes.append(
            f"maxPods {right} fits these addresses where two pods are on the host's network; "
            "a higher one, or fewer such pods, places pods that get no address: lower it then. "
            "Else a larger type, or more nodes."
        )
    trunk = facts.trunk_place or (settings.enable_pod_eni and (limits is None or limits.trunking))
    if trunk:
        change = Change(env={"ENABLE_POD_ENI": "false"}, freed_places=facts.lost_places)
        back = set_env(ENABLE_POD_ENI="false").commands
        title = "the trunk's place back, where no pod has a security group"
        options.append(Option(title=title, commands=back, simulated=True))
        if limits is not None and not limits.trunking:
            notes.append(
                f"{limits.instance_type} cannot have a trunk ENI, and this agent keeps a place "
                "for one: ENABLE_POD_ENI=false gives it back."
            )
        else:
            title = "where pods have security groups and the trunk ENI does not come"
            options.append(Option(title=title, commands=(ATTACH_CONTROLLER,)))
            notes.append(
                "ENABLE_POD_ENI=false gives the trunk's place back, where no pod has a security "
                "group. Where some do and the trunk does not come: AmazonEKSVPCResourceController "
                "on the cluster's role (CLUSTER_ROLE), not the node's."
            )
    if facts.prefix_mode or (limits is not None and not limits.nitro):
        notes.append("The type cannot hold more: use more nodes, or a larger type.")
    elif facts.before(FIRST_WITH_PREFIXES):
        notes.append(
            f"Prefix mode would add more, with an agent from v1.9: this one is {facts.version}, "
            "so upgrade it first, then give doctor the new files."
        )
    else:
        node = facts.node or "NODE"
        fix = set_env(ENABLE_PREFIX_DELEGATION="true", WARM_PREFIX_TARGET="1")
        if change is None and fix.change and limits:
            change = replace(fix.change, repair=({"op": "del_pods", "n": limits.max_addresses},))
        options.append(
            Option(
                title="prefix mode, only where the subnet has free /28s",
                commands=(
                    *fix.commands,
                    f"kubectl drain {node} --ignore-daemonsets --delete-emptydir-data",
                    f"kubectl uncordon {node}",
                ),
                simulated=change is not None and not trunk,
            )
        )
        notes.append(
            "Or prefix mode, only where the subnet has free /28s: addresses in use keep their "
            "slots, prefixes come as their pods leave."
        )
    return one_of(options, " ".join(notes), change)
