"""Who makes a call: the identity behind an access key, and the keys that an instance is given.

Nothing is verified: a served VPC has no secrets. A key that an instance's metadata gave, or
that is an instance's id, is the role of that instance, its session named by the id as AWS
does it; any other is a user. Source: IAM user guide, "IAM identifiers", and the EC2 user
guide, "Retrieve security credentials from instance metadata".
"""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ipam_core._dataclass import dataclass
from ipam_core.cloud.cloudtrail import ACCOUNT, ROLE
from ipam_core.endpoint.account import USER_ID

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

USER = "ipam-core"
"""The user whose every key is that no instance has."""
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
"""The secret key of AWS's own examples: signatures are not verified."""
_LIFE = timedelta(hours=6)
_SCOPE = re.compile(r"Credential=([^/,\s]*)/[^/,]*/([^/,]*)/([^/,]*)/aws4_request")
_ID = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")
_SHORT_ID = 8
_KEY_BYTES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """What a request says of who made it. `service` and `region` are what it was signed for."""

    access_key: str = ""
    service: str = ""
    region: str = ""
    source: str = "127.0.0.1"
    user_agent: str = ""

    @property
    def instance_id(self) -> str:
        """The instance whose role it is, "" where it is a user."""
        if _ID.fullmatch(self.access_key):
            return self.access_key
        return _instance_of(self.access_key)

    @property
    def arn(self) -> str:
        """The identity's ARN."""
        if self.instance_id:
            return f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/{self.instance_id}"
        return f"arn:aws:iam::{ACCOUNT}:user/{USER}"

    @property
    def user_id(self) -> str:
        """The identity's unique id, as GetCallerIdentity has it."""
        if self.instance_id:
            return f"{_ROLE_ID}:{self.instance_id}"
        return USER_ID

    def identity(self) -> dict[str, Any]:
        """Return `userIdentity` of a CloudTrail record."""
        instance_id = self.instance_id
        found = {
            "type": "AssumedRole" if instance_id else "IAMUser",
            "principalId": self.user_id,
            "arn": self.arn,
            "accountId": ACCOUNT,
            "accessKeyId": access_key_of(instance_id) if instance_id else self.access_key,
        }
        if not instance_id:
            return {**found, "userName": USER}
        issuer = {
            "type": "Role",
            "principalId": _ROLE_ID,
            "arn": f"arn:aws:iam::{ACCOUNT}:role/{ROLE}",
            "accountId": ACCOUNT,
            "userName": ROLE,
        }
        return {**found, "sessionContext": {"sessionIssuer": issuer}}


_ROLE_ID = "AROAEXAMPLEEXAMPLE000"


def caller_of(headers: Mapping[str, str], query: str, source: str) -> Caller:
    """Return who made a request, by its header Authorization or the fields of its query.

    What is not signed, or not by Signature Version 4, is of nobody: its key is "".
    """
    found = _SCOPE.match(headers.get("Authorization", "").partition(" ")[2].strip())
    if found is None:
        fields = parse_qs(query, max_num_fields=None) if "X-Amz-Credential" in query else {}
        scope = fields.get("X-Amz-Credential", [""])[0]
        found = _SCOPE.match(f"Credential={scope}")
    key, region, service = found.groups() if found else ("", "", "")
    return Caller(
        access_key=key,
        service=service,
        region=region,
        source=source,
        user_agent=headers.get("User-Agent", ""),
    )


def access_key_of(instance_id: str) -> str:
    """Return the access key of an instance's role, in which its id is.

    The id is an instance's: `i-` and 8 or 17 hexadecimal digits.
    """
    digits = instance_id.removeprefix("i-")
    number = int(digits, 16) << 1 | (len(digits) == _SHORT_ID)
    return "ASIA" + base64.b32encode(number.to_bytes(_KEY_BYTES, "big")).decode()


def _instance_of(access_key: str) -> str:
    """Return the instance of a key as `access_key_of` makes it, "" for any other."""
    try:
        packed = base64.b32decode(access_key.removeprefix("ASIA"))
    except ValueError:
        return ""
    if not access_key.startswith("ASIA") or len(packed) != _KEY_BYTES:
        return ""
    number, is_short = divmod(int.from_bytes(packed, "big"), 2)
    found = f"i-{number:0{_SHORT_ID if is_short else 17}x}"
    return found if _ID.fullmatch(found) else ""


def role_credentials(instance_id: str, now: datetime) -> dict[str, str]:
    """Return what instance metadata gives for the role: credentials that nothing verifies."""
    return {
        "Code": "Success",
        "LastUpdated": _time(now),
        "Type": "AWS-HMAC",
        "AccessKeyId": access_key_of(instance_id),
        "SecretAccessKey": SECRET,
        "Token": f"test-token-of-{instance_id}",
        "Expiration": _time(now + _LIFE),
    }


def _time(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
