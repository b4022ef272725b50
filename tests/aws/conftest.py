"""A VPC with one instance on a moto server, reached through a proxy that can fail."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import boto3
import pytest

from ipam_core.cloud.aws import AwsCloud
from ipam_core.cloud.imds import Imds
from support.servers import REGION, FaultyEc2, InstanceMetadata, metadata_tree, serving

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
}


@pytest.fixture(scope="session")
def session():
    """One session for all tests: each reads EC2's model, of several MB, once."""
    return boto3.Session(*CREDENTIALS.values(), region_name=REGION)


@pytest.fixture(autouse=True)
def aws_environment(monkeypatch, tmp_path):
    """Credentials that open nothing, and no configuration of whoever runs the tests."""
    settings = {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in (CREDENTIALS | settings).items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def moto_url():
    from support import moto_ec2  # loads seconds of tables: only for the process that serves

    with moto_ec2.serve() as url:
        yield url


@dataclass
class World:
    """One instance in a VPC. `direct` is an EC2 client without the proxy."""

    session: boto3.Session
    direct: object
    proxy: FaultyEc2
    proxy_url: str
    metadata: InstanceMetadata
    imds_url: str
    instance_id: str
    vpc_id: str
    subnet_id: str

    def cloud(self, **options):
        options.setdefault("attempts", 1)
        options.setdefault("endpoint_url", self.proxy_url)
        if "instance_id" not in options:
            options.setdefault("metadata", Imds(self.imds_url, timeout_s=2))
        return AwsCloud(self.session, **options)

    def enis(self):
        """Return every ENI of the VPC by id, as EC2 describes it."""
        filters = [{"Name": "vpc-id", "Values": [self.vpc_id]}]
        found = self.direct.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
        return {eni["NetworkInterfaceId"]: eni for eni in found}

    def primary(self):
        """Return the primary ENI's id, which stays the same."""
        return self._primary

    @cached_property
    def _primary(self):
        (found,) = [
            eni_id
            for eni_id, eni in self.enis().items()
            if eni.get("Attachment", {}).get("DeviceIndex") == 0
        ]
        return found


def described(client, instance_id):
    """Return what describes an instance's metadata: afresh once something may have changed."""
    from support import moto_ec2

    trees = {}

    def tree():
        n_changes = moto_ec2.n_changes
        if n_changes not in trees:
            trees[n_changes] = metadata_tree(client, instance_id)
        return trees[n_changes]

    return tree


@pytest.fixture(scope="session")
def direct(moto_url, session):
    """A client of the server, without a proxy: a client takes longer to make than to use."""
    return session.client("ec2", endpoint_url=moto_url)


@pytest.fixture
def world(direct, moto_url, session):
    """A world of its own for each test: another VPC, on the one server."""
    vpc_id = direct.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    zone = f"{REGION}a"
    subnet = direct.create_subnet(VpcId=vpc_id, CidrBlock="10.0.0.0/18", AvailabilityZone=zone)
    subnet_id = subnet["Subnet"]["SubnetId"]
    (instance,) = direct.run_instances(
        ImageId="ami-12c6146b",
        InstanceType="m5.xlarge",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet_id,
        SecurityGroupIds=[
            direct.create_security_group(GroupName="nodes", Description="-", VpcId=vpc_id)[
                "GroupId"
            ]
        ],
    )["Instances"]
    instance_id = instance["InstanceId"]
    proxy = FaultyEc2(moto_url)
    metadata = InstanceMetadata(described(direct, instance_id))
    with serving(proxy) as proxy_url, serving(metadata) as imds_url:
        yield World(
            session=session,
            direct=direct,
            proxy=proxy,
            proxy_url=proxy_url,
            metadata=metadata,
            imds_url=imds_url,
            instance_id=instance_id,
            vpc_id=vpc_id,
            subnet_id=subnet_id,
        )
