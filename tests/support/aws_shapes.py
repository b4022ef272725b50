"""Whether an answer has the form that AWS's model of the call gives it: nothing else, nothing less.

botocore's parser drops what it does not know and takes what is missing for absent. Here the text
itself is compared with the model: every element known, once, of its type, its value in the enum;
and what EC2's documents show of each resource in every example is there.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from xml.etree import ElementTree

ALWAYS = {
    "NetworkInterface": (
        "AvailabilityZone Description Groups InterfaceType Ipv6Addresses MacAddress "
        "NetworkInterfaceId OwnerId PrivateIpAddress PrivateIpAddresses RequesterManaged "
        "SourceDestCheck Status SubnetId TagSet VpcId"
    ),
    "NetworkInterfaceAttachment": (
        "AttachTime AttachmentId DeleteOnTermination DeviceIndex InstanceId InstanceOwnerId "
        "NetworkCardIndex Status"
    ),
    "NetworkInterfacePrivateIpAddress": "Primary PrivateIpAddress",
    "GroupIdentifier": "GroupId GroupName",
    "Instance": (
        "AmiLaunchIndex Architecture ImageId InstanceId InstanceType LaunchTime Monitoring "
        "NetworkInterfaces Placement SecurityGroups State RootDeviceType "
        "VirtualizationType Hypervisor"
    ),
    "InstanceNetworkInterface": (
        "Attachment Description Groups Ipv6Addresses MacAddress NetworkInterfaceId OwnerId "
        "PrivateIpAddress PrivateIpAddresses SourceDestCheck Status SubnetId VpcId InterfaceType"
    ),
    "InstanceNetworkInterfaceAttachment": (
        "AttachTime AttachmentId DeleteOnTermination DeviceIndex Status NetworkCardIndex"
    ),
    "InstanceState": "Code Name",
    "InstanceStateChange": "CurrentState InstanceId PreviousState",
    "Reservation": "Groups Instances OwnerId ReservationId",
    "Subnet": (
        "AvailabilityZone AvailabilityZoneId AvailableIpAddressCount CidrBlock DefaultForAz "
        "MapPublicIpOnLaunch OwnerId State SubnetArn SubnetId VpcId AssignIpv6AddressOnCreation "
        "Ipv6CidrBlockAssociationSet"
    ),
    "SubnetCidrReservation": "Cidr OwnerId ReservationType SubnetCidrReservationId SubnetId",
    "Vpc": (
        "CidrBlock CidrBlockAssociationSet DhcpOptionsId InstanceTenancy IsDefault OwnerId State "
        "VpcId"
    ),
    "SecurityGroup": (
        "Description GroupId GroupName IpPermissions IpPermissionsEgress OwnerId VpcId"
    ),
    "AvailabilityZone": "RegionName State ZoneId ZoneName ZoneType GroupName",
    "TagDescription": "Key ResourceId ResourceType Value",
    "Tag": "Key Value",
    "InstanceTypeInfo": "InstanceType NetworkInfo BareMetal",
    "NetworkInfo": (
        "DefaultNetworkCardIndex Ipv4AddressesPerInterface MaximumNetworkCards "
        "MaximumNetworkInterfaces NetworkCards"
    ),
    "NetworkCardInfo": "MaximumNetworkInterfaces NetworkCardIndex",
    "GetCallerIdentityResponse": "Account Arn UserId",
}
"""By the shape's name in the model: the members that the examples of the EC2 API reference,
of the AWS CLI's and of STS's show wherever a resource of the kind is shown."""

NAMESPACES = {
    "ec2": "http://ec2.amazonaws.com/doc/2016-11-15/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
}
"""As the examples of the API references have them."""
NEWER = {"InstanceType"}
"""Enums to which AWS adds more often than botocore is released."""
ALSO = {"NetworkInterfaceStatus": ("pending",)}
"""Values that an enum lacks, and the examples of the API reference have."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def problems(operation, body):
    """Return what is wrong with the body of a call's successful answer, in words."""
    found = []
    service = operation.service_model
    if service.protocol in ("rest-json", "json"):
        document = json.loads(body or b"{}")
        if operation.output_shape is not None:
            _json(operation.output_shape, document, operation.name, found)
        return found
    root = ElementTree.fromstring(body)
    namespace = root.tag.rpartition("}")[0].removeprefix("{")
    _strip(root)
    if root.tag != f"{operation.name}Response":
        found.append(f"root element {root.tag}")
    if namespace != NAMESPACES[service.service_name]:
        found.append(f"namespace {namespace!r}")
    if service.protocol == "ec2":
        ids = [child for child in root if child.tag == "requestId"]
        if len(ids) != 1 or not re.fullmatch(r"[0-9a-f-]{36}", ids[0].text or ""):
            found.append("no requestId")
        for each in ids:
            root.remove(each)
        result = root
    else:
        parts = {child.tag: child for child in root}
        result = parts.get(f"{operation.name}Result")
        if set(parts) != {f"{operation.name}Result", "ResponseMetadata"} or result is None:
            return [*found, f"elements {sorted(parts)}"]
    if operation.output_shape is not None:
        _xml(operation.output_shape, result, operation.name, found)
    elif any(child.tag != "return" for child in result):  # `<return>true</return>`
        found.append(f"{operation.name}: members where the model has none")
    return found


def _strip(root):
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]


def _xml(shape, node, where, found):
    if shape.type_name == "structure":
        known = {
            member.serialization.get("name", name): (name, member)
            for name, member in shape.members.items()
        }
        seen = set()
        for child in node:
            if child.tag not in known:
                found.append(f"{where}: unknown member <{child.tag}>")
                continue
            name, member = known[child.tag]
            if name in seen:
                found.append(f"{where}.{name}: twice")
            seen.add(name)
            _xml(member, child, f"{where}.{name}", found)
        _missing(shape, seen, where, found)
    elif shape.type_name == "list":
        element = shape.member.serialization.get("name", "item")
        for child in node:
            if child.tag != element:
                found.append(f"{where}: element <{child.tag}>, not <{element}>")
            _xml(shape.member, child, f"{where}[]", found)
    else:
        _leaf(shape, node.text or "", where, found)
        if len(node):
            found.append(f"{where}: members in a {shape.type_name}")


def _missing(shape, seen, where, found):
    always = ALWAYS.get(shape.name, "").split()
    missing = sorted({*shape.required_members, *always} - seen)
    if missing:
        found.append(f"{where}: missing {', '.join(missing)}")


def _leaf(shape, text, where, found):
    kind = shape.type_name
    good = {
        "string": lambda: _is_of(shape, text),
        "boolean": lambda: text in ("true", "false"),
        "integer": lambda: re.fullmatch(r"-?\d{1,10}", text),
        "long": lambda: re.fullmatch(r"-?\d{1,19}", text),
        "double": lambda: float(text) is not None,
        "float": lambda: float(text) is not None,
        "timestamp": lambda: _TIME.fullmatch(text) and datetime.fromisoformat(text),
    }[kind]()
    if not good:
        found.append(f"{where}: {text!r} is no {shape.name} ({kind})")


def _is_of(shape, text):
    return (
        not shape.enum
        or text in shape.enum
        or shape.name in NEWER
        or text in ALSO.get(shape.name, ())
    )


def _json(shape, value, where, found):
    if shape.type_name == "structure":
        known = {m.serialization.get("name", name): m for name, m in shape.members.items()}
        for name, each in value.items():
            if name not in known:
                found.append(f"{where}: unknown member {name!r}")
            else:
                _json(known[name], each, f"{where}.{name}", found)
        _missing(shape, set(value), where, found)
    elif shape.type_name == "list":
        for each in value:
            _json(shape.member, each, f"{where}[]", found)
    elif shape.type_name == "map":
        for each in value.values():
            _json(shape.value, each, f"{where}{{}}", found)
    elif shape.type_name == "timestamp":
        if type(value) not in (int, float):
            found.append(f"{where}: {value!r} is no time")
    elif shape.type_name == "boolean":
        if type(value) is not bool:
            found.append(f"{where}: {value!r} is no boolean")
    elif shape.type_name in ("integer", "long"):
        if type(value) is not int:
            found.append(f"{where}: {value!r} is no integer")
    elif type(value) is not str or not _is_of(shape, value):
        found.append(f"{where}: {value!r} is no {shape.name}")


class Watch:
    """Validates every answer that a client of boto3 gets, before it parses it.

    Attributes:
        n: how many answers were validated.
        calls: the calls that were answered.
        problems: what was wrong, in words.
    """

    def __init__(self):
        self.n = 0
        self.calls = set()
        self.problems = []

    def on(self, client):
        """Watch a client, and return it."""
        client.meta.events.register("before-parse", self._look)
        return client

    def _look(self, operation_model, response_dict, **_):
        if response_dict["status_code"] >= 300:
            self.problems += error_problems(operation_model, response_dict)
            return
        self.n += 1
        self.calls.add(operation_model.name)
        self.problems += problems(operation_model, response_dict["body"])

    def check(self):
        """Fail where any answer was not as the model has it."""
        assert not self.problems, sorted(set(self.problems))


def error_problems(operation, response):
    """Return what is wrong with an error's answer, in words."""
    if operation.service_model.protocol != "ec2":
        return []
    root = ElementTree.fromstring(response["body"])
    _strip(root)
    tags = [root.tag, *(child.tag for child in root)]
    if tags != ["Response", "Errors", "RequestID"]:
        return [f"error of {operation.name}: elements {tags}"]
    return [
        f"error of {operation.name}: not a code and a message"
        for error in root.findall("Errors/Error")
        if [child.tag for child in error] != ["Code", "Message"] or not error.findtext("Code")
    ]
