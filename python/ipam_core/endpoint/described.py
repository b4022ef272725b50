"""Resources as EC2's API shows them: every member that EC2 gives, by botocore's names."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ipam_core.cloud.region import EPOCH
from ipam_core.endpoint.account import USER_ID

if TYPE_CHECKING:
    from ipam_core.endpoint.account import Account
    from ipam_core.endpoint.resources import (
        Attachment,
        CidrReservation,
        Instance,
        Interface,
        SecurityGroup,
        VirtualNetwork,
        VpcSubnet,
    )

STATE_CODES = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
}
"""Source: InstanceState in the EC2 API reference."""


def time_of(time_ns: int) -> datetime:
    """Return a time of the VPC's clock as wall-clock time, to the second as EC2 does."""
    return EPOCH + timedelta(seconds=time_ns // 1_000_000_000)


def tags_of(tags: dict[str, str]) -> list[dict[str, str]]:
    """Return tags as EC2 lists them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def dns_name(account: Account, address: str) -> str:
    """Return the private name of an address. Source: "Instance hostname types"."""
    region = account.region_name
    domain = "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
    return f"ip-{address.replace('.', '-')}.{domain}"


def zone_id(account: Account, zone: str) -> str:
    """Return a zone's id: `use1-az1` of us-east-1a."""
    *area, side, number = account.region_name.split("-")
    words = {"north": "n", "south": "s", "east": "e", "west": "w", "central": "c"}
    short = "".join(letter for word, letter in words.items() if word in side)  # southeast: se
    return f"{''.join(area)}{short}{number}-az{account.zones.index(zone) + 1}"


def arn(account: Account, kind: str, resource_id: str) -> str:
    """Return a resource's ARN."""
    return f"arn:aws:ec2:{account.region_name}:{account.account_id}:{kind}/{resource_id}"


def groups_named(account: Account, groups: tuple[str, ...]) -> list[dict[str, str]]:
    """Return security groups as an interface shows them."""
    return [
        {"GroupId": group_id, "GroupName": account.groups.by_key[group_id].name}
        for group_id in groups
    ]


# --- interfaces -----------------------------------------------------------------------------


def interface(account: Account, eni: Interface) -> dict[str, Any]:
    """Return an ENI as DescribeNetworkInterfaces shows it."""
    found = {
        **_common(account, eni),
        "AvailabilityZone": eni.zone,
        "AvailabilityZoneId": zone_id(account, eni.zone),
        "RequesterId": USER_ID,
        "RequesterManaged": False,
        "TagSet": tags_of(eni.tags),
    }
    if eni.attachment is not None:
        found["Attachment"] = {
            **_attachment(eni, eni.attachment),
            "InstanceId": eni.instance_id,
            "InstanceOwnerId": account.account_id,
        }
    if eni.ipv6_addresses:
        found["Ipv6Address"] = eni.ipv6_addresses[0]
    return found


def instance_interface(account: Account, eni: Interface) -> dict[str, Any]:
    """Return an attached ENI as DescribeInstances shows it."""
    found = _common(account, eni)
    if eni.attachment is not None:
        found["Attachment"] = _attachment(eni, eni.attachment)
    return found


def _common(account: Account, eni: Interface) -> dict[str, Any]:
    name = dns_name(account, eni.primary_address)
    found: dict[str, Any] = {
        "Description": eni.description,
        "Groups": groups_named(account, eni.groups),
        "InterfaceType": eni.interface_type,
        "Ipv6Addresses": [
            {"Ipv6Address": address, "IsPrimaryIpv6": eni.primary_ipv6 and number == 0}
            for number, address in enumerate(eni.ipv6_addresses)
        ],
        "MacAddress": eni.mac,
        "NetworkInterfaceId": eni.eni_id,
        "OwnerId": account.account_id,
        "PrivateDnsName": name,
        "PrivateIpAddress": eni.primary_address,
        "PrivateIpAddresses": [
            {"Primary": True, "PrivateDnsName": name, "PrivateIpAddress": eni.primary_address},
            *(
                {
                    "Primary": False,
                    "PrivateDnsName": dns_name(account, address),
                    "PrivateIpAddress": address,
                }
                for address in eni.addresses
            ),
        ],
        "SourceDestCheck": eni.source_dest_check,
        "Status": eni.status,
        "SubnetId": eni.subnet_id,
        "VpcId": eni.vpc_id,
        "Operator": {"Managed": False},
    }
    # Sets of prefixes are there only where they hold one.
    if eni.prefixes:
        found["Ipv4Prefixes"] = [{"Ipv4Prefix": prefix} for prefix in eni.prefixes]
    if eni.ipv6_prefixes:
        found["Ipv6Prefixes"] = [{"Ipv6Prefix": prefix} for prefix in eni.ipv6_prefixes]
    return found


def _attachment(eni: Interface, attachment: Attachment) -> dict[str, Any]:
    return {
        "AttachTime": time_of(attachment.since_ns),
        "AttachmentId": attachment.attachment_id,
        "DeleteOnTermination": eni.goes_with_instance,
        "DeviceIndex": eni.device_number,
        "NetworkCardIndex": eni.network_card,
        "Status": attachment.status,
    }


# --- instances ------------------------------------------------------------------------------


def state(name: str) -> dict[str, Any]:
    """Return an instance's state."""
    return {"Code": STATE_CODES[name], "Name": name}


def instance(account: Account, row: Instance) -> dict[str, Any]:
    """Return an instance as DescribeInstances shows it; a terminated one has no network."""
    limits = row.limits
    found: dict[str, Any] = {
        "InstanceId": row.instance_id,
        "ImageId": row.image_id,
        "State": state(row.state),
        "PrivateDnsName": "",
        "PublicDnsName": "",
        "StateTransitionReason": "",
        "AmiLaunchIndex": row.launch_index,
        "ProductCodes": [],
        "InstanceType": limits.instance_type,
        "LaunchTime": time_of(row.launched_ns),
        "Placement": {
            "AvailabilityZone": row.zone,
            "AvailabilityZoneId": zone_id(account, row.zone),
            "GroupName": "",
            "Tenancy": "default",
        },
        "Monitoring": {"State": "disabled"},
        "Architecture": architecture(limits.instance_type),
        "BlockDeviceMappings": [],
        "ClientToken": row.client_token,
        "EbsOptimized": False,
        "EnaSupport": True,
        "Hypervisor": "xen",  # what EC2 says of Nitro, too
        "RootDeviceName": "/dev/xvda",
        "RootDeviceType": "ebs",
        "VirtualizationType": "hvm",
        "NetworkInterfaces": [],
        "SecurityGroups": [],
        "Tags": tags_of(row.tags),
        "CapacityReservationSpecification": {"CapacityReservationPreference": "open"},
        "HibernationOptions": {"Configured": False},
        "EnclaveOptions": {"Enabled": False},
        "MetadataOptions": {
            "State": "pending" if row.state == "pending" else "applied",
            "HttpTokens": account.http_tokens_of(row),
            "HttpPutResponseHopLimit": 2,
            "HttpEndpoint": "enabled",
            "HttpProtocolIpv6": "disabled",
            "InstanceMetadataTags": "disabled",
        },
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "UsageOperationUpdateTime": time_of(row.launched_ns),
        "MaintenanceOptions": {"AutoRecovery": "default", "RebootMigration": "default"},
        "NetworkPerformanceOptions": {"BandwidthWeighting": "default"},
        "Operator": {"Managed": False},
        "CurrentInstanceBootMode": "uefi" if limits.nitro else "legacy-bios",
    }
    if limits.vcpus is not None:
        threads = 1 if found["Architecture"] == "arm64" or limits.vcpus == 1 else 2
        found["CpuOptions"] = {"CoreCount": limits.vcpus // threads, "ThreadsPerCore": threads}
    if row.key_name:
        found["KeyName"] = row.key_name
    if row.state in ("shutting-down", "terminated"):
        reason = "User initiated shutdown"
        found["StateReason"] = {
            "Code": "Client.UserInitiatedShutdown",
            "Message": f"Client.UserInitiatedShutdown: {reason}",
        }
        ended = time_of(row.ended_ns).strftime("%Y-%m-%d %H:%M:%S GMT")
        found["StateTransitionReason"] = f"{reason} ({ended})"
    if row.state == "terminated":
        return found
    enis = account.attached_to(row.instance_id)
    name = dns_name(account, row.private_address)
    found |= {
        "PrivateDnsName": name,
        "PrivateIpAddress": row.private_address,
        "SubnetId": row.subnet_id,
        "VpcId": row.vpc_id,
        "NetworkInterfaces": [instance_interface(account, eni) for eni in enis],
        "SecurityGroups": groups_named(account, row.groups),
        "SourceDestCheck": all(each.source_dest_check for each in enis[:1]),
        "PrivateDnsNameOptions": {
            "HostnameType": "ip-name",
            "EnableResourceNameDnsARecord": False,
            "EnableResourceNameDnsAAAARecord": False,
        },
    }
    return found


def architecture(instance_type: str) -> str:
    """Return a type's architecture: AWS's ARM has a `g` after its generation, or is a1."""
    family, _, _ = instance_type.partition(".")
    letters = family.lstrip("abcdefghijklmnopqrstuvwxyz").lstrip("0123456789")
    return "arm64" if family == "a1" or letters.startswith("g") else "x86_64"


# --- networks -------------------------------------------------------------------------------


def subnet(account: Account, row: VpcSubnet) -> dict[str, Any]:
    """Return a subnet as DescribeSubnets shows it."""
    return {
        "AvailabilityZoneId": zone_id(account, row.zone),
        "MapCustomerOwnedIpOnLaunch": False,
        "OwnerId": account.account_id,
        "AssignIpv6AddressOnCreation": False,
        "Ipv6CidrBlockAssociationSet": []
        if row.ipv6 is None
        else [
            {
                "AssociationId": f"subnet-cidr-assoc-{row.number:017x}",
                "Ipv6CidrBlock": row.ipv6.cidr,
                "Ipv6CidrBlockState": {"State": "associated"},
                "Ipv6AddressAttribute": "public",
                "IpSource": "amazon",
            }
        ],
        "Tags": tags_of(row.tags),
        "SubnetArn": arn(account, "subnet", row.subnet_id),
        "EnableDns64": False,
        "Ipv6Native": False,
        "PrivateDnsNameOptionsOnLaunch": {
            "HostnameType": "ip-name",
            "EnableResourceNameDnsARecord": False,
            "EnableResourceNameDnsAAAARecord": False,
        },
        "BlockPublicAccessStates": {"InternetGatewayBlockMode": "off"},
        "SubnetId": row.subnet_id,
        "State": "available",
        "VpcId": row.vpc_id,
        "CidrBlock": row.subnet.cidr,
        "AvailableIpAddressCount": row.available_addresses,
        "AvailabilityZone": row.zone,
        "DefaultForAz": False,
        "MapPublicIpOnLaunch": False,
    }


def vpc(account: Account, row: VirtualNetwork) -> dict[str, Any]:
    """Return a VPC as DescribeVpcs shows it."""
    return {
        "OwnerId": account.account_id,
        "InstanceTenancy": "default",
        "Ipv6CidrBlockAssociationSet": [
            {
                "AssociationId": row.ipv6_block[1],
                "Ipv6CidrBlock": row.ipv6_block[0],
                "Ipv6CidrBlockState": {"State": "associated"},
                "NetworkBorderGroup": account.region_name,
                "Ipv6Pool": "Amazon",
                "Ipv6AddressAttribute": "public",
                "IpSource": "amazon",
            }
        ],
        "CidrBlockAssociationSet": [
            {
                "AssociationId": association,
                "CidrBlock": block,
                "CidrBlockState": {"State": "associated"},
            }
            for block, association in row.blocks
        ],
        "IsDefault": row.is_default,
        "Tags": tags_of(row.tags),
        "BlockPublicAccessStates": {"InternetGatewayBlockMode": "off"},
        "VpcId": row.vpc_id,
        "State": "available",
        "CidrBlock": row.blocks[0][0] if row.blocks else "",
        "DhcpOptionsId": "default",
    }


def group(account: Account, row: SecurityGroup) -> dict[str, Any]:
    """Return a security group as DescribeSecurityGroups shows it: all may leave."""
    return {
        "GroupId": row.group_id,
        "IpPermissionsEgress": [
            {
                "IpProtocol": "-1",
                "UserIdGroupPairs": [],
                "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
                "Ipv6Ranges": [],
                "PrefixListIds": [],
            }
        ],
        "Tags": tags_of(row.tags),
        "VpcId": row.vpc_id,
        "SecurityGroupArn": arn(account, "security-group", row.group_id),
        "OwnerId": account.account_id,
        "GroupName": row.name,
        "Description": row.description,
        "IpPermissions": [],
    }


def reservation(account: Account, row: CidrReservation) -> dict[str, Any]:
    """Return a CIDR reservation as GetSubnetCidrReservations shows it."""
    found = {
        "SubnetCidrReservationId": row.reservation_id,
        "SubnetId": row.subnet_id,
        "Cidr": row.cidr,
        "ReservationType": row.kind,
        "OwnerId": account.account_id,
        "Tags": tags_of(row.tags),
    }
    return found | ({"Description": row.description} if row.description else {})
