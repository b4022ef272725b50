"""The contract of a cloud on `AwsCloud` over moto, as far as moto goes: a second opinion.

Where the two disagree, the reason says who is right: EC2's documents or what EC2 was seen to do.
"""

from __future__ import annotations

import os

import pytest

from ipam_core.cloud.aws import AwsCloud
from ipam_core.testing import CHECKS
from ipam_core.testing.contract import ContractError
from support.servers import REGION

NOT_IN_MOTO = {
    "prefixes": "moto knows no prefix on an ENI and leaves AssignedIpv4Prefixes out",
    "prefixes-given-back": "the same",
    "prefix-limit": "the same",
    "subnet-without-prefixes": "the same; EC2 answers InsufficientCidrBlocks",
    "creation-with-prefixes": "moto ignores Ipv4PrefixCount in CreateNetworkInterface",
    "ipv6-prefix": "moto knows no /80 on an ENI and leaves AssignedIpv6Prefixes out",
    "creation-with-ipv6": "the same",
    "address-limit": "moto has no limit; EC2 answers PrivateIpAddressLimitExceeded",
    "subnet-without-addresses": "moto answers 500; EC2 InsufficientFreeAddressesInSubnet",
    "attached-is-kept": "moto detaches the primary ENI; EC2 answers OperationNotPermitted",
    "devices-are-kept": (
        "moto attaches at a device index that is taken, and an attached ENI again; EC2 answers "
        "InvalidParameterValue and InvalidNetworkInterface.InUse"
    ),
    "network-cards": "moto drops NetworkCardIndex; EC2 describes it in the attachment",
    "attachment-limit": "moto has no limit; EC2 answers AttachmentLimitExceeded",
    "unknown-enis": "moto tags an ENI that is not there; EC2 InvalidNetworkInterfaceID.NotFound",
}
"""The checks that AwsCloud over moto does not pass: each for moto's sake, and why."""


@pytest.fixture(scope="module")
def factory(moto_url, session):
    client = session.client("ec2", endpoint_url=moto_url)

    def on_moto(instance_type, *, cidr):
        vpc_id = client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = client.create_subnet(VpcId=vpc_id, CidrBlock=cidr, AvailabilityZone=f"{REGION}a")[
            "Subnet"
        ]
        group = client.create_security_group(GroupName="n", Description="-", VpcId=vpc_id)
        (instance,) = client.run_instances(
            ImageId="ami-12c6146b",
            InstanceType=instance_type,
            MinCount=1,
            MaxCount=1,
            SubnetId=subnet["SubnetId"],
            SecurityGroupIds=[group["GroupId"]],
        )["Instances"]
        return AwsCloud(
            session, endpoint_url=moto_url, instance_id=instance["InstanceId"], attempts=1
        )

    return on_moto


CHOSEN = [
    check for check in CHECKS if os.environ.get("IPAM_CORE_SOAK") or check.name not in NOT_IN_MOTO
]
"""What moto cannot do is looked at in long runs only: it changes with moto, not with us."""


@pytest.mark.parametrize("check", CHOSEN, ids=str)
def test_moto_keeps_the_contract_but_where_it_is_known_not_to(check, factory):
    if check.name not in NOT_IN_MOTO:
        check(factory)
        return
    with pytest.raises(ContractError):  # else moto has learned it: take it out of the list
        check(factory, within_s=0, sleep=lambda _: None)
