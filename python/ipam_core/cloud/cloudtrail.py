"""A simulation's EC2 calls as CloudTrail would have recorded them.

Source: the CloudTrail user guide, "CloudTrail record contents", and the EC2 API
reference for what calls take and return. `ipam-core doctor` reads these files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core import effects as fx
from ipam_core.cloud.region import wall_time_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ipam_core.cloud.region import Call

ACCOUNT = "111122223333"
"""The account of AWS's own examples."""
ROLE = "node"
_SERVER_CODES = frozenset({"InternalError", "InternalFailure", "ServiceUnavailable", "Unavailable"})


def trail(calls: Iterable[Call], *, region: str = "us-east-1") -> dict[str, Any]:
    """Return calls in the form of a CloudTrail file, in order.

    `region` is that of calls of a region without a name.
    """
    return {"Records": [event(call, number, region=region) for number, call in enumerate(calls, 1)]}


def event(call: Call, number: int, *, region: str = "us-east-1") -> dict[str, Any]:
    """Return one call as a CloudTrail event; `number` makes its ids."""
    when = wall_time_of(call.time_ns)
    found = {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/{call.instance_id}",
            "accountId": ACCOUNT,
        },
        "eventTime": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": "ec2.amazonaws.com",
        "eventName": call.api,
        "awsRegion": call.region or region,
        "userAgent": "amazon-vpc-cni-k8s",
        "requestParameters": _request(call),
        "responseElements": None if call.error else _response(call),
        "requestID": f"00000000-0000-4000-8000-{number:012x}",
        "eventID": f"00000000-0000-4000-9000-{number:012x}",
        "readOnly": call.api.startswith("Describe"),
        "eventType": "AwsApiCall",
        "recipientAccountId": ACCOUNT,
    }
    if call.error:
        found["errorCode"] = sided(call.error.code)
        found["errorMessage"] = call.error.message
    return found


def sided(code: str) -> str:
    """Return an EC2 error code as CloudTrail has it: with the side whose fault it is."""
    return f"{'Server' if code in _SERVER_CODES else 'Client'}.{code}"


def _request(call: Call) -> dict[str, Any]:
    effect = call.effect
    describe = _REQUESTS.get(type(effect))
    return describe(effect, call.instance_id) if describe else {}


def _items(name: str, values: Iterable[str]) -> dict[str, Any]:
    return {"items": [{name: value} for value in values]}


def _create(effect: fx.CreateEni, instance_id: str) -> dict[str, Any]:
    counts = {
        "secondaryPrivateIpAddressCount": effect.n_addresses,
        "ipv4PrefixCount": effect.n_prefixes,
    }
    return {
        "description": f"aws-K8S-{instance_id}",
        **({"subnetId": effect.subnet_id} if effect.subnet_id else {}),
        **{name: count for name, count in counts.items() if count},
    }


_REQUESTS: dict[type[fx.Effect], Callable[[Any, str], dict[str, Any]]] = {
    fx.AssignPrivateIps: lambda effect, _: {
        "networkInterfaceId": effect.eni_id,
        "secondaryPrivateIpAddressCount": effect.count,
    },
    fx.AssignPrefixes: lambda effect, _: {
        "networkInterfaceId": effect.eni_id,
        "ipv4PrefixCount": effect.count,
    },
    fx.AssignIpv6Prefix: lambda effect, _: {
        "networkInterfaceId": effect.eni_id,
        "ipv6PrefixCount": 1,
    },
    fx.UnassignPrivateIps: lambda effect, _: {
        "networkInterfaceId": effect.eni_id,
        "privateIpAddressesSet": _items("privateIpAddress", effect.addresses),
    },
    fx.UnassignPrefixes: lambda effect, _: {
        "networkInterfaceId": effect.eni_id,
        "ipv4PrefixSet": _items("ipv4Prefix", effect.prefixes),
    },
    fx.CreateEni: _create,
    fx.FindFreeDevice: lambda _, instance_id: {"instancesSet": _items("instanceId", [instance_id])},
    fx.AttachEni: lambda effect, instance_id: {
        "networkInterfaceId": effect.eni_id,
        "instanceId": instance_id,
        "deviceIndex": effect.device_number,
        "networkCardIndex": effect.network_card,
    },
    fx.DeleteWithInstance: lambda effect, _: {
        "networkInterfaceId": effect.eni_id,
        "attachment": {"attachmentId": effect.attachment_id, "deleteOnTermination": True},
    },
    fx.SetSecurityGroups: lambda effect, _: {
        "networkInterfaceId": effect.eni_id,
        "groupSet": _items("groupId", effect.groups),
    },
    fx.DetachEni: lambda effect, _: {"attachmentId": effect.attachment_id},
    fx.DeleteEni: lambda effect, _: {"networkInterfaceId": effect.eni_id},
    fx.TagEni: lambda effect, _: {"resourcesSet": _items("resourceId", [effect.eni_id])},
    fx.TagCreatedAt: lambda effect, _: {"resourcesSet": _items("resourceId", [effect.eni_id])},
    fx.DescribeEnis: lambda effect, _: {
        "networkInterfaceIdSet": _items("networkInterfaceId", effect.eni_ids)
    },
}


def _response(call: Call) -> dict[str, Any] | None:
    """Return the reply to a call that changes something; CloudTrail keeps no reply to a read."""
    if call.api.startswith("Describe"):
        return None
    effect, reply = call.effect, call.reply
    if isinstance(effect, fx.CreateEni):
        return {"networkInterface": {"networkInterfaceId": reply}}
    if isinstance(effect, fx.AttachEni):
        return {"attachmentId": reply}
    if isinstance(effect, fx.AssignPrivateIps):
        return {"_return": True, "assignedPrivateIpAddressesSet": _items("privateIpAddress", reply)}
    if isinstance(effect, fx.AssignPrefixes):
        return {"_return": True, "assignedIpv4PrefixSet": _items("ipv4Prefix", reply)}
    return {"_return": True}
