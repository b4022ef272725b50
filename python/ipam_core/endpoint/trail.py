"""The calls to a served VPC as CloudTrail records them, written as they end.

A file is a whole JSON document after each record: the record and the end of the document go
over the end that was there, in one write. `ipam-core doctor` reads it, and so does whatever
reads CloudTrail's files.

Source: the CloudTrail user guide, "CloudTrail record contents" and "CloudTrail log file
name format", and the EC2 API's records that AWS prints in its guides.
"""

from __future__ import annotations

import json
import logging
import os
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ipam_core.cloud.cloudtrail import ACCOUNT, sided
from ipam_core.cloud.region import wall_time_of
from ipam_core.endpoint.models import operation
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from ipam_core.endpoint.gate import ServedCall

PERIOD_S = 300
"""CloudTrail delivers a file about every five minutes."""
_START = b'{"Records":[\n'
_END = b"\n]}\n"
_IDS = uuid.UUID("8e9fd3f5-44c5-4f0f-9d4c-6b1f5c4d9d0a")
_READS = ("Describe", "Get", "List")
_log = logging.getLogger(__name__)


# --- records ------------------------------------------------------------------------------


def record_of(call: ServedCall, region: str) -> dict[str, Any]:
    """Return a call as a CloudTrail record."""
    reads = call.action.startswith(_READS)
    return {
        "eventVersion": "1.11",
        "userIdentity": call.caller.identity(),
        "eventTime": wall_time_of(call.time_ns).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": f"{call.service}.amazonaws.com",
        "eventName": call.action,
        "awsRegion": region,
        "sourceIPAddress": call.caller.source,
        "userAgent": call.caller.user_agent,
        **_error(call),
        "requestParameters": _request(call) or None,
        "responseElements": None if reads or call.error else _response(call),
        "requestID": call.request_id,
        "eventID": str(uuid.uuid5(_IDS, call.request_id)),
        "readOnly": reads,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }


def _error(call: ServedCall) -> dict[str, str]:
    if call.error is None:
        return {}
    code = call.error.code
    return {
        "errorCode": sided(code) if call.service == "ec2" else code,
        "errorMessage": call.error.message,
    }


_SETS = {
    "Filters": ("filterSet", ""),
    "GroupIds": ("securityGroupIdSet", "groupId"),
    "Groups": ("groupSet", "groupId"),
    "InstanceIds": ("instancesSet", "instanceId"),
    "Ipv4Prefixes": ("ipv4PrefixSet", "ipv4Prefix"),
    "Ipv6Addresses": ("ipv6AddressesSet", "ipv6Address"),
    "Ipv6Prefixes": ("ipv6PrefixSet", "ipv6Prefix"),
    "NetworkInterfaceIds": ("networkInterfaceIdSet", "networkInterfaceId"),
    "PrivateIpAddresses": ("privateIpAddressesSet", "privateIpAddress"),
    "Resources": ("resourcesSet", "resourceId"),
    "SecurityGroupIds": ("groupSet", "groupId"),
    "SubnetIds": ("subnetSet", "subnetId"),
    "TagSpecifications": ("tagSpecificationSet", ""),
    "Tags": ("tagSet", ""),
    "Values": ("valueSet", "value"),
    "VpcIds": ("vpcSet", "vpcId"),
}
"""How a record names a list of a request, and each item where that is a text."""


def _request(call: ServedCall) -> dict[str, Any]:
    if call.service != "ec2":
        return {_lower(name): value for name, value in call.params.items()}
    found = _fields(call.params)
    if call.action == "RunInstances":
        inner = ("imageId", "minCount", "maxCount")
        launch = {name: found.pop(name) for name in inner if name in found}
        return {"instancesSet": {"items": [launch]}, **found}
    return found


def _fields(params: Any) -> dict[str, Any]:
    found = {}
    for name, value in params.items():
        if isinstance(value, list):
            called, item = _SETS.get(name, (f"{_lower(name)}Set", _lower(name)))
            found[called] = {
                "items": [_fields(e) if isinstance(e, dict) else {item: e} for e in value]
            }
            if name == "TagSpecifications":
                for spec, given in zip(found[called]["items"], value, strict=True):
                    spec.pop("tagSet", None)
                    spec["tags"] = [_fields(tag) for tag in given.get("Tags", [])]
        else:
            found[_lower(name)] = _fields(value) if isinstance(value, dict) else _plain(value)
    return found


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _plain(value: Any) -> Any:
    """Return a value as a record has it: a time in milliseconds."""
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    return value


def _response(call: ServedCall) -> dict[str, Any]:
    """Return what a call that changes something returned, by the names of the answer's XML."""
    model = operation(call.service, call.action)
    shape = None if model is None else model.output_shape
    if shape is None:
        return {"requestId": call.request_id, "_return": True}
    return {"requestId": call.request_id, **_of_shape(shape, call.reply or {})}


def _of_shape(shape: Any, value: Any) -> Any:
    if shape.type_name == "structure":
        found = {}
        for name, each in value.items():
            member = shape.members[name]
            called = str(member.serialization.get("name", name))
            found["_return" if called == "return" else called] = _of_shape(member, each)
        return found
    if shape.type_name == "list":
        return {"items": [_of_shape(shape.member, each) for each in value]} if value else {}
    return _plain(value)


# --- files --------------------------------------------------------------------------------


class Trail:
    """Where calls are written: one file, or a folder with a file for every five minutes.

    The files of a folder are called as CloudTrail's. A file that is there is gone on with.
    The log says once that something could not be written; calls go on.

    Raises:
        OSError: the file or folder cannot be written.
        InputError: a file is there that is not a trail.
    """

    def __init__(self, path: Path, *, region: str = "us-east-1", is_folder: bool = False) -> None:
        self._path = path
        self._region = region
        self._is_folder = is_folder or path.is_dir()
        self._period = -1
        self._file = -1
        self._size = 0
        self._broken = False
        if self._is_folder:
            path.mkdir(parents=True, exist_ok=True)
        else:
            self._open(path)

    def write(self, call: ServedCall) -> None:
        """Write one call. Cost: one write, of the record's size."""
        record = json.dumps(record_of(call, self._region), separators=(",", ":")).encode()
        try:
            if self._is_folder:
                self._choose(call)
            new = self._size == 0
            text = (_START if new else b",\n") + record + _END
            at = 0 if new else self._size - len(_END)
            n_written = os.pwrite(self._file, text, at)
            if n_written < len(text):
                os.pwrite(self._file, _END, at)  # takes the half of the record back
                os.ftruncate(self._file, self._size)
                raise OSError(f"{n_written} of {len(text)} bytes written")
            self._size = at + len(text)
        except (OSError, InputError) as error:
            if not self._broken:
                _log.warning("the trail %s is not complete: %s", self._path, error)
            self._broken = True

    def close(self) -> None:
        """Close the file. Closing twice does nothing."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def _open(self, path: Path) -> None:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        size = os.fstat(file).st_size
        whole = os.pread(file, len(_START), 0) == _START
        if size and not (whole and os.pread(file, len(_END), size - len(_END)) == _END):
            os.close(file)
            raise InputError(f"{path}: there is a file that is no trail of ipam-core")
        self.close()
        self._file, self._size = file, size

    def _choose(self, call: ServedCall) -> None:
        """Open the file of the time of a call."""
        when = wall_time_of(call.time_ns)
        period = int(when.timestamp()) // PERIOD_S
        if period == self._period:
            return
        start = datetime.fromtimestamp(period * PERIOD_S, when.tzinfo)
        name = f"{ACCOUNT}_CloudTrail_{self._region}_{start:%Y%m%dT%H%MZ}"
        self._open(self._path / f"{name}_{'ipamcore':0>16}.json")
        self._period = period
