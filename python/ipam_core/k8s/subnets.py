"""The subnets that a cluster's nodes are in, read from AWS: what is free, and who still fits.

Calls, all read-only: DescribeInstances, then those of `ipam_core.subnet.live`.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass
from ipam_core.errors import IpamError
from ipam_core.settings import Settings
from ipam_core.subnet.advice import count_more
from ipam_core.subnet.draw import draw_of
from ipam_core.subnet.live import read_live
from ipam_core.subnet.report import report_on

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import boto3

    from ipam_core.diagnosis.explain import Explanation
    from ipam_core.k8s.judging import NodeReport
    from ipam_core.k8s.objects import KubeNode
    from ipam_core.subnet.draw import Draw
    from ipam_core.subnet.report import SubnetReport

_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d+")
BAD_BANDS = frozenset({"critical", "exhausted"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetState:
    """One subnet of the cluster.

    Attributes:
        report: its content.
        zone: "" where AWS does not say.
        nodes: how many of the cluster's nodes hold an address here.
        fits_type: the type of most of them, "" where none is known.
        fits_idle, fits_full: how many more such nodes fit without a pod, and full of pods.
    """

    report: SubnetReport
    zone: str
    nodes: int
    fits_type: str
    prefix_mode: bool
    fits_idle: int | None
    fits_full: int | None

    @property
    def is_problem(self) -> bool:
        """Whether no ENI, or where nodes take /28s none of these, can be had here."""
        free = self.report.subnet.n_free_unreserved
        return free == 0 or (self.prefix_mode and self.report.fragmentation.band in BAD_BANDS)


def region_of(zones: Iterable[str]) -> str | None:
    """Return the region of most nodes, by the zones of all; None where none is known."""
    regions = Counter(found[0] for zone in zones if (found := _REGION.match(zone)) is not None)
    return regions.most_common(1)[0][0] if regions else None


def session_near(
    nodes: Iterable[KubeNode], profile: str | None = None, region: str | None = None
) -> boto3.Session:
    """Return a session: in `region`, else that of the configuration, else that of the nodes.

    Raises:
        MissingExtraError: boto3 is not installed.
        InputError: there is no such profile.
    """
    from ipam_core.cloud.ec2 import open_session  # noqa: PLC0415  (needs the extra `aws`)

    session = open_session(profile, region)
    if session.region_name is None and (found := region_of(node.zone for node in nodes)):
        session = open_session(profile, found)
    return session


def read_subnets(
    reports: Sequence[NodeReport],
    *,
    session: boto3.Session | None = None,
    endpoint_url: str | None = None,
) -> tuple[list[SubnetState], list[str]]:
    """Read the subnets of nodes from AWS, those with the least room first, and what is missing.

    `session` left out is `session_near` the nodes.
    Cost: one call for 200 instances, then those of `read_live`.

    Raises:
        MissingExtraError: boto3 is not installed.
        InputError, CloudError: AWS refused, or was not reached.
    """
    from ipam_core.cloud.ec2 import Ec2  # noqa: PLC0415  (needs the extra `aws`)

    session = session or session_near(each.node for each in reports)
    by_instance = {each.node.instance_id: each for each in reports if each.node.instance_id}
    if not by_instance:
        return [], ["subnets: no node's providerID names an EC2 instance"]
    ec2 = Ec2(session, endpoint_url=endpoint_url)
    found: dict[str, set[str]] = {}
    instances = sorted(by_instance)
    of_nodes = "DescribeInstances", "Reservations", "instance-id"
    for reservation in ec2.pages_by(*of_nodes, instances):
        for instance in reservation["Instances"]:
            for eni in instance.get("NetworkInterfaces") or ():
                found.setdefault(eni["SubnetId"], set()).add(instance["InstanceId"])
    if not found:
        return [], [f"subnets: EC2 knows none of {len(instances)} instances: another account?"]
    inventory, _ = read_live(found, session=session, endpoint_url=endpoint_url)
    states, missing = [], []
    for subnet_id in inventory.choose(()):
        here = [by_instance[each] for each in found.get(subnet_id, ()) if each in by_instance]
        try:
            report = report_on(inventory, subnet_id)
        except IpamError as error:
            missing.append(str(error))
            continue
        zone = str(inventory.subnets[subnet_id].get("AvailabilityZone", ""))
        states.append(_state(report, zone, here))
    return sorted(states, key=_room), [*missing, *inventory.notices]


def _state(report: SubnetReport, zone: str, here: list[NodeReport]) -> SubnetState:
    types = Counter(
        (each.node.instance_type, id(each.explanation)) for each in here if each.explanation
    )
    usual = types.most_common(1)[0][0] if types else None
    explanation = next(
        (
            each.explanation
            for each in here
            if (each.node.instance_type, id(each.explanation)) == usual
        ),
        None,
    )
    draws = draws_of(explanation) if explanation else None
    return SubnetState(
        report=report,
        zone=zone,
        nodes=len(here),
        fits_type=usual[0] if usual else "",
        prefix_mode=explanation.play.prefix_mode if explanation else False,
        fits_idle=count_more(report, report.subnet, draws[0]) if draws else None,
        fits_full=count_more(report, report.subnet, draws[1]) if draws else None,
    )


def draws_of(explanation: Explanation) -> tuple[Draw, Draw] | None:
    """Return what a node takes of its subnet with no pod, and with all it serves.

    None where its agent does not start. Under custom networking the primary ENI is elsewhere.
    """
    play = explanation.play
    if not play.up:
        return None
    elsewhere = int(Settings.from_env(explanation.case.env).custom_networking)
    levels = (play.up[0], max(play.up, key=lambda level: level.taken))
    idle, full = (draw_of(level, elsewhere, play.prefix_mode) for level in levels)
    return idle, full


def _room(state: SubnetState) -> tuple[bool, int, str]:
    return not state.is_problem, state.fits_full or 0, state.report.subnet_id
