"""Answers of EC2 that no other cause names: something is gone, unreachable, or not accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core.diagnosis.doctor.causes.common import (
    RESTART,
    count,
    found_failing,
    no_matter,
    unless_recent,
)
from ipam_core.diagnosis.doctor.causes.ec2 import EXCLUDED
from ipam_core.diagnosis.fixes import Fix
from ipam_core.errors import (
    AddressLimitError,
    DeniedError,
    NotFoundError,
    SubnetFullError,
    ThrottledError,
)

if TYPE_CHECKING:
    from ipam_core.diagnosis.doctor.facts import Facts
    from ipam_core.diagnosis.doctor.finding import Finding

_NO_CREDENTIALS = frozenset({"NoCredentialProviders", "EC2RoleRequestError"})
_KNOWN_KINDS = (
    DeniedError, ThrottledError, SubnetFullError, AddressLimitError,
)  # fmt: skip
_OTHER_CAUSES = frozenset({"AttachmentLimitExceeded"})


def other_answer(facts: Facts) -> Finding:
    """Judge whether EC2 refuses a call for a reason that no other cause names, or is silent."""
    failures = [
        failure
        for failure in facts.failures()
        if failure.kind not in _KNOWN_KINDS
        and failure.code not in _OTHER_CAUSES
        and EXCLUDED not in failure.sighting.last.value
        and failure.caller == ""
        and failure.api != "DeleteNetworkInterface"
        and not (failure.kind is NotFoundError and failure.api.startswith("Describe"))
    ]
    if (other := unless_recent(facts, failures)) is not None:
        return other
    if (moot := no_matter(facts)) is not None:
        return moot
    recent = [failure for failure in failures if facts.recent(failure.sighting)]
    latest = max(recent, key=lambda failure: str(failure.sighting.last.time or ""))
    if latest.code in _NO_CREDENTIALS:
        title = "The agent has no AWS credentials"
        note = "Does the instance have a role, or aws-node's service account? Is IMDS reachable?"
    elif latest.code == "Unknown":
        title = f"{latest.api} gets no answer from EC2"
        note = (
            "The line says why. Check the path to EC2's endpoint: routes, NAT, VPC endpoint, "
            "security groups, DNS, proxy."
        )
    else:
        title = f"EC2 answers {latest.api if latest.api != 'EC2' else 'a call'} with {latest.code}"
        note = "EC2's message names what it does not accept: a security group, a subnet, a quota."
        if facts.settings.custom_networking:
            note += (
                " The ENIConfig names both: its subnet must be in the node's zone, its security "
                "groups in the subnet's VPC."
            )
    commands: tuple[str, ...] = ()
    if latest.code in _GONE:
        commands = (RESTART.format(node=facts.node or "NODE"),)
        note = _GONE[latest.code]
    return found_failing(
        facts,
        failures,
        title=title,
        why=f"the pool cannot grow while this continues ({count(len(recent), 'kind')} of failure)",
        fix=Fix(commands=commands, note=note),
    )


_GONE = {
    "InvalidNetworkInterfaceID.NotFound": (
        "Instance metadata still shows an ENI that is gone, or the agent's store does. A restarted "
        "aws-node reads both again; while metadata is late, restart it again after some minutes."
    ),
    **dict.fromkeys(
        ("InvalidSecurityGroupID.NotFound", "InvalidGroup.NotFound"),
        "The agent read the security groups of the node's first ENI when it started, and one was "
        "deleted since. Give that ENI groups that exist; the restarted aws-node reads them.",
    ),
}
"""Resources that are gone although the agent uses them: it reads them again at its start."""
