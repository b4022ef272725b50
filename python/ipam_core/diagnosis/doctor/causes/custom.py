"""Custom networking: no ENIConfig, its subnet full, or no place for its ENIs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ipam_core.diagnosis.doctor.agent import Run
from ipam_core.diagnosis.doctor.causes.common import (
    CONTENT,
    found,
    found_failing,
    no_matter,
    shown,
    unless_logged,
)
from ipam_core.diagnosis.doctor.causes.enis import full_node
from ipam_core.diagnosis.doctor.causes.places import room_of
from ipam_core.diagnosis.doctor.facts import SETTINGS
from ipam_core.diagnosis.doctor.finding import Certainty, Finding, left_open, ruled_out
from ipam_core.diagnosis.fixes import Change, Fix
from ipam_core.errors import SubnetFullError

if TYPE_CHECKING:
    from ipam_core.diagnosis.doctor.facts import Facts

_VARIABLE = "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"


def custom_networking(facts: Facts) -> Finding:
    """Judge custom networking: its ENIConfig missing, its subnet full, or no place for ENIs."""
    missing = facts.sighting("no_eni_config", "no_eni_config_named")
    starting = facts.agent.run not in (Run.WORKS, Run.UNKNOWN)
    if missing is not None and facts.recent(missing) and (starting or facts.low is not False):
        # The line is written only with custom networking on.
        return _no_eni_config(facts)
    if not facts.settings.custom_networking:
        if facts.knows(_VARIABLE):
            return ruled_out("custom networking is off")
        return no_matter(facts) or (
            unless_logged(facts) if facts.log_judges else left_open(SETTINGS)
        )
    if facts.low is False:
        return ruled_out(CONTENT)
    failures = [failure for failure in facts.failures() if failure.kind is SubnetFullError]
    if any(facts.recent(failure.sighting) for failure in failures):
        return found_failing(
            facts,
            failures,
            title="The ENIConfig's subnet has no room",
            why="under custom networking every pod's address comes out of that subnet",
            more=tuple(shown(facts, "eni_config.subnet_id")),
            fix=Fix(
                commands=(
                    (
                        "kubectl patch eniconfig NAME --type merge "
                        '-p \'{"spec":{"subnet":"SUBNET_WITH_ROOM"}}\''
                    ),
                ),
                note="New ENIs are created in the new subnet; attached ones keep theirs.",
                change=Change(
                    # Attached ENIs are in "primary" there, and stay in a full subnet.
                    fault=(room_of("primary", 0), room_of("eniconfig", 0)),
                    repair=(room_of("eniconfig", 1 << 16),),
                ),
            ),
        )
    return full_node(
        facts,
        "Custom networking: every slot is used on the ENIs that serve pods",
        "the primary ENI counts towards the limit and serves no pod",
    )


def _no_eni_config(facts: Facts) -> Finding:
    kinds = ("no_eni_config_named", "no_eni_config", "no_start")
    seen = [facts.sighting(kind) for kind in kinds]
    named = facts.fact("no_eni_config_named.name") or facts.fact("eni_config_name.name")
    name = named.value if named else ""
    finding = found(
        facts,
        [one.last for one in seen if one is not None and facts.recent(one)],
        title="Custom networking is on, and the node has no ENIConfig"
        + (f": none is named {name}" if name else ""),
        why="without one no ENI is created, and the primary ENI serves no pod"
        + ("; the agent does not start" if facts.agent.run is Run.FAILED else ""),
        fix=Fix(
            commands=(
                "kubectl get eniconfigs",
                f"kubectl get node {facts.node or 'NODE'} --show-labels",
                f"{_name_it(facts)}=NAME --overwrite",
            ),
            note=(
                (
                    f"Create the ENIConfig {name} (before the nodes, where nodes are made by a "
                    "pipeline), or label the node with one that is there. "
                    if name
                    else ""
                )
                + f"NAME is an ENIConfig of this zone. {_goes_by(facts)}"
            ),
            change=Change(
                fault=({"op": "ec2_fail", "api": "CreateNetworkInterface", "code": "None"},),
                repair=({"op": "ec2_heal"},),
            ),
        ),
    )
    sure = facts.agent.run is Run.FAILED or facts.low is True
    return replace(finding, certainty=Certainty.CERTAIN) if sure else finding


_DEFAULT = "k8s.amazonaws.com/eniConfig"


def _keys(facts: Facts) -> tuple[str, str]:
    """Return the annotation and the label by which the agent finds a node's ENIConfig."""
    annotation = facts.variables.get("ENI_CONFIG_ANNOTATION_DEF")
    label = facts.variables.get("ENI_CONFIG_LABEL_DEF")
    return (
        annotation.value if annotation and annotation.value else _DEFAULT,
        label.value if label and label.value else _DEFAULT,
    )


def _name_it(facts: Facts) -> str:
    """Return the command, without its end, that names the node's ENIConfig to the agent.

    The annotation is read first (GetNodeSpecificENIConfigName). The label is named only if it
    is known that nothing else reads it: others read the label of the zone.
    """
    annotation, label = _keys(facts)
    node = facts.node or "NODE"
    known = facts.knows("ENI_CONFIG_LABEL_DEF")
    if known and not label.endswith("/zone"):
        return f"kubectl label node {node} {label}"
    return f"kubectl annotate node {node} {annotation}"


def _goes_by(facts: Facts) -> str:
    annotation, label = _keys(facts)
    if label.endswith("/zone"):
        return (
            f"The agent reads the annotation {annotation}, else the label {label} "
            "(ENI_CONFIG_LABEL_DEF): its value must be the name of an ENIConfig. Do not change "
            "that label: name the ENIConfig after the zone, or annotate the node."
        )
    if facts.knows("ENI_CONFIG_LABEL_DEF"):
        return f"The agent reads the annotation {annotation}, else the label {label}."
    return (
        f"The agent reads the annotation {annotation}, else the label of that name or the "
        "one that ENI_CONFIG_LABEL_DEF names."
    )
