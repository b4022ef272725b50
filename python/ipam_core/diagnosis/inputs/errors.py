"""AWS errors in the words of the agent's log: which call, and with which code.

The SDK for Go writes `Code: message` and a second line with the status (version 1), or
`operation error EC2: Call, ..., api error Code: message` (version 2). The agent puts the
names of its own functions in front.
"""

from __future__ import annotations

import re

from ipam_core.effects import HOST_EFFECTS

ASSUME_ROLE = "AssumeRoleWithWebIdentity"
UNKNOWN = "Unknown"
"""The code of an error without one: a network fault, or the agent's own."""
_V2 = re.compile(r"api error (?P<code>[\w.]+)")
_OPERATION = re.compile(r"operation error \w+: (?P<api>\w+)")
_V1 = re.compile(r"(?:^|: )(?P<code>[A-Z][a-z]\w+(?:\.\w+)*): ")
_OWN = frozenset({
    "AllocENI", "FreeENI", "DescribeAllENIs", "DescribeENI", "GetClusterTag", "RequestError",
    "WebIdentityErr",
})  # fmt: skip
"""Capitalised words before a colon that are functions of the agent, not codes of EC2."""
HOST_STEPS = tuple(effect.__name__ for effect in HOST_EFFECTS)
"""What is done on the host itself: no call to EC2."""
_BY_WORDS = (
    (ASSUME_ROLE, "assumerolewithwebidentity"),
    ("DescribeSecurityGroups", "describe security groups"),
    ("DescribeSubnets", "describe subnets"),
    ("DescribeNetworkInterfaces", "describe network interface"),
    ("DescribeInstanceTypes", "describe instance type"),
    ("AttachNetworkInterface", "attach eni"),
    ("CreateNetworkInterface", "create network interface"),
    ("AssignPrivateIpAddresses", "assign private ip"),
    ("AssignPrivateIpAddresses", "allocate a private ip"),
)
"""The call by the agent's words for it, if the SDK does not name it."""


def api_and_code(error: str) -> tuple[str, str]:
    """Return the call that an error names ('' if none) and its code, `UNKNOWN` without one.

    A step on the host that failed is no call, and has no code of EC2.
    """
    if any(step in error for step in HOST_STEPS):
        return "", UNKNOWN
    operations = _OPERATION.findall(error)  # the last one failed: it is the reason for the others
    api = operations[-1] if operations else _by_words(error)
    if match := _V2.search(error):
        return api, match["code"]
    codes = (match["code"] for match in _V1.finditer(error))
    return api, next((code for code in codes if code not in _OWN), UNKNOWN)


def _by_words(error: str) -> str:
    lower = error.lower()
    return next((api for api, words in _BY_WORDS if words in lower), "")
