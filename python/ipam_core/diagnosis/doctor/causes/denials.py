"""Denials that no policy of the role can remove: which policy denies, and where to look.

AWS names the kind of policy in its message. An explicit Deny wins over every Allow, and a call
that an organisation, a boundary, a session or an endpoint does not allow stays denied.

Source: IAM user guide, "Troubleshoot access denied error messages".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ipam_core.diagnosis.fixes import Fix, Option, one_of, set_env

if TYPE_CHECKING:
    from ipam_core.diagnosis.fixes import Change
    from ipam_core.diagnosis.inputs.case import Failure

_EXPLICIT = re.compile(
    r"with an explicit deny in an? (?P<who>[a-z -]+ policy|permissions boundary)",
    re.IGNORECASE,
)
_IMPLICIT = re.compile(
    r"because no (?P<who>service control policy|resource control policy|permissions boundary|"
    r"session policy|VPC endpoint policy) allows",
    re.IGNORECASE,
)
_LOOK = {
    "service control policy": "aws organizations list-policies --filter SERVICE_CONTROL_POLICY",
    "resource control policy": "aws organizations list-policies --filter RESOURCE_CONTROL_POLICY",
    "permissions boundary": "aws iam get-role --role-name {role} --query Role.PermissionsBoundary",
    "identity-based policy": "aws iam list-attached-role-policies --role-name {role}",
    "vpc endpoint policy": "aws ec2 describe-vpc-endpoints --filters "
    "Name=service-name,Values=com.amazonaws.REGION.ec2",
}


def denier(failures: list[Failure]) -> str:
    """Return what denies the calls, with its article, if the role's own Allow cannot help."""
    for failure in failures:
        text = " ".join(failure.sighting.last.value.split())
        if match := _EXPLICIT.search(text) or _IMPLICIT.search(text):
            who = match["who"]
            return f"{'an' if who[0].lower() in 'aeiou' else 'a'} {who}"
    return ""


NOT_IN_THE_POLICY = frozenset({"AssignIpv6Addresses", "DescribeSecurityGroups"})
"""Calls that AmazonEKS_CNI_Policy does not allow, or did not allow in older versions."""
DISCOVERS_GROUPS = "DescribeSecurityGroups"


def allow(apis: list[str], role: str) -> str:
    """Return the command that lets a role make calls by a separate statement."""
    actions = ", ".join(f'"ec2:{api}"' for api in apis)
    statement = f'{{"Effect": "Allow", "Action": [{actions}], "Resource": "*"}}'
    document = f'{{"Version": "2012-10-17", "Statement": [{statement}]}}'
    return (
        f"aws iam put-role-policy --role-name {role or 'ROLE'} --policy-name vpc-cni-more "
        f"--policy-document '{document}'"
    )


def without_groups(command: str, note: str, change: Change) -> Fix:
    """Return the fixes for an agent that may not search security groups (v1.22.0, v1.22.1)."""
    return one_of(
        [
            Option(title="allow the call", commands=(command,), simulated=True),
            Option(
                title="an agent from v1.22.2, which continues without it",
                commands=(
                    (
                        "aws eks update-addon --cluster-name CLUSTER --addon-name vpc-cni "
                        "--addon-version VERSION"
                    ),
                ),
            ),
            Option(
                title="no search for subnets and security groups",
                commands=set_env(ENABLE_SUBNET_DISCOVERY="false").commands,
            ),
        ],
        note,
        change,
    )


def lift(who: str, role: str, apis: list[str]) -> Fix:
    """Return where to look for the policy that denies; it cannot be simulated."""
    kind = who.partition(" ")[2]
    look = _LOOK.get(kind.lower(), "").format(role=role or "ROLE")
    calls = ", ".join(f"ec2:{api}" for api in apis) or "the call"
    return Fix(
        commands=(look,) if look else (),
        note=(
            f"Who may change that {kind} must let {calls} through for the role "
            f"{role or 'of the agent'}. Another policy attached to the role does not help: what "
            f"the {kind} denies stays denied."
        ),
    )
