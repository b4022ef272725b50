"""RunInstances, TerminateInstances, and what describes instances and their types."""

import pytest

from ipam_core import instances
from ipam_core.endpoint.vpc import Delays, Vpc
from ipam_core.instance_descriptions import read_descriptions
from support.vpcs import Clock, launch, refusal_of


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def vpc(clock):
    vpc = Vpc(seed=1, clock_ns=clock, delays=Delays(running_s=5, terminated_s=10))
    vpc.account.add_subnet("10.0.0.0/24", subnet_id="subnet-a", zone="a")
    vpc.account.add_subnet("10.0.1.0/28", subnet_id="subnet-b", zone="b")
    return vpc


RUN = {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 1, "InstanceType": "m5.large"}


def run(vpc, **params):
    return vpc.call("ec2", "RunInstances", RUN | params)["Instances"]


def described(vpc, instance_id):
    reply = vpc.call("ec2", "DescribeInstances", {"InstanceIds": [instance_id]})
    ((found,),) = [each["Instances"] for each in reply["Reservations"]]
    return found


def interfaces(vpc, **filters):
    asked = [{"Name": name, "Values": [value]} for name, value in filters.items()]
    return vpc.call("ec2", "DescribeNetworkInterfaces", {"Filters": asked})["NetworkInterfaces"]


@pytest.mark.parametrize(
    "given", [{"Description": "x" * 256}, {"InterfaceType": "trunk"}, {"InterfaceType": "x" * 300}]
)
def test_the_interfaces_of_a_launch_are_checked_as_those_that_are_created(vpc, given):
    primary = {"DeviceIndex": 0, "SubnetId": "subnet-a"}
    second = {"DeviceIndex": 1, "SubnetId": "subnet-a", **given}
    code, said = refusal_of(vpc, "RunInstances", RUN | {"NetworkInterfaces": [primary, second]})
    assert code == "InvalidParameterValue"
    assert len(said) < 400
    assert len(vpc.account.enis) == len(vpc.account.instances) == 0
    described = {"Description": "x" * 255, "InterfaceType": "efa"}
    (node,) = run(vpc, NetworkInterfaces=[primary, second | described], InstanceType="m5n.24xlarge")
    assert node["NetworkInterfaces"][1]["InterfaceType"] == "efa"


def test_a_launch_without_any_subnet_is_refused_and_makes_no_vpc():
    vpc = Vpc(seed=1)
    assert refusal_of(vpc, "RunInstances", RUN) == (
        "VPCIdNotSpecified",
        "No default VPC for this user",
    )
    assert len(vpc.account.vpcs) == len(vpc.account.groups) == 0
    made = vpc.account.add_vpc().vpc_id
    code, said = refusal_of(vpc, "RunInstances", RUN)
    assert (code, made in said) == ("MissingInput", True)


@pytest.mark.parametrize(
    ("given", "account"),
    [
        ({}, "optional"),
        ({}, "required"),
        ({"HttpTokens": "required"}, "optional"),
        ({"HttpTokens": "optional"}, "required"),
    ],
)
def test_instances_are_found_by_whether_their_metadata_needs_a_token(vpc, given, account):
    vpc.account.http_tokens = account
    (node,) = run(vpc, SubnetId="subnet-a", MetadataOptions=given)
    for wanted in ("optional", "required"):
        asked = {"Filters": [{"Name": "metadata-options.http-tokens", "Values": [wanted]}]}
        reply = vpc.call("ec2", "DescribeInstances", asked)
        assert bool(reply["Reservations"]) == (node["MetadataOptions"]["HttpTokens"] == wanted)


def test_a_node_comes_with_its_primary_interface_and_goes_with_it(vpc, clock):
    (node,) = run(vpc, SubnetId="subnet-a")
    assert node["State"] == {"Code": 0, "Name": "pending"}
    clock.move(5)
    found = described(vpc, node["InstanceId"])
    assert found["State"] == {"Code": 16, "Name": "running"}
    (eni,) = found["NetworkInterfaces"]
    assert (eni["Attachment"]["DeviceIndex"], eni["Attachment"]["DeleteOnTermination"]) == (0, True)
    assert found["PrivateIpAddress"] == eni["PrivateIpAddress"]
    assert found["SubnetId"] == "subnet-a"
    assert vpc.account.subnets.by_key["subnet-a"].available_addresses == 250
    ask = {"InstanceIds": [node["InstanceId"]]}
    assert vpc.call("ec2", "TerminateInstances", ask)["TerminatingInstances"] == [
        {
            "InstanceId": node["InstanceId"],
            "CurrentState": {"Code": 32, "Name": "shutting-down"},
            "PreviousState": {"Code": 16, "Name": "running"},
        }
    ]
    assert described(vpc, node["InstanceId"])["NetworkInterfaces"] == [eni]
    clock.move(10)
    found = described(vpc, node["InstanceId"])
    assert found["State"] == {"Code": 48, "Name": "terminated"}
    assert found["NetworkInterfaces"] == []
    assert not found.keys() & {"PrivateIpAddress", "SubnetId", "VpcId"}
    assert "User initiated" in found["StateTransitionReason"]
    assert interfaces(vpc) == []
    assert vpc.account.subnets.by_key["subnet-a"].available_addresses == 251
    again = vpc.call("ec2", "TerminateInstances", ask)["TerminatingInstances"]
    assert (
        again[0]["PreviousState"] == again[0]["CurrentState"] == {"Code": 48, "Name": "terminated"}
    )
    clock.move(3600)
    assert refusal_of(vpc, "DescribeInstances", ask) == (
        "InvalidInstanceID.NotFound",
        f"The instance ID '{node['InstanceId']}' does not exist",
    )


def test_an_interface_that_was_not_to_go_stays_when_its_node_goes(vpc, clock):
    node = launch(vpc, clock, SubnetId="subnet-a")
    kept, gone = (
        vpc.call("ec2", "CreateNetworkInterface", {"SubnetId": "subnet-a"})["NetworkInterface"]
        for _ in range(2)
    )
    for device, eni in enumerate((kept, gone), 1):
        asked = {"NetworkInterfaceId": eni["NetworkInterfaceId"], "InstanceId": node}
        attached = vpc.call("ec2", "AttachNetworkInterface", asked | {"DeviceIndex": device})
    change = {"AttachmentId": attached["AttachmentId"], "DeleteOnTermination": True}
    vpc.call(
        "ec2",
        "ModifyNetworkInterfaceAttribute",
        {"NetworkInterfaceId": gone["NetworkInterfaceId"], "Attachment": change},
    )
    vpc.call("ec2", "TerminateInstances", {"InstanceIds": [node]})
    clock.move(10)
    (left,) = interfaces(vpc)
    assert left["NetworkInterfaceId"] == kept["NetworkInterfaceId"]
    assert left["Status"] == "available"
    assert "Attachment" not in left


def test_a_launch_makes_the_interfaces_that_it_specifies(vpc):
    (group, other) = (
        vpc.account.add_group(name, name, vpc_id=vpc.account.default_vpc().vpc_id).group_id
        for name in ("web", "pods")
    )
    (node,) = run(
        vpc,
        NetworkInterfaces=[
            {
                "DeviceIndex": 1,
                "SubnetId": "subnet-a",
                "Ipv4PrefixCount": 2,
                "DeleteOnTermination": False,
                "Groups": [other],
                "Description": "pods",
            },
            {
                "DeviceIndex": 0,
                "SubnetId": "subnet-a",
                "Groups": [group],
                "SecondaryPrivateIpAddressCount": 2,
                "Ipv6AddressCount": 1,
            },
        ],
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "n"}]},
            {"ResourceType": "network-interface", "Tags": [{"Key": "k", "Value": "v"}]},
            {"ResourceType": "volume", "Tags": [{"Key": "k", "Value": "v"}]},
        ],
    )
    primary, second = node["NetworkInterfaces"]
    assert node["SecurityGroups"] == [{"GroupId": group, "GroupName": "web"}]
    assert len(primary["PrivateIpAddresses"]) == 3
    assert len(primary["Ipv6Addresses"]) == 1
    assert len(second["Ipv4Prefixes"]) == 2
    assert second["Description"] == "pods"
    assert [each["Attachment"]["DeleteOnTermination"] for each in (primary, second)] == [
        True,
        False,
    ]
    assert node["Tags"] == [{"Key": "Name", "Value": "n"}]
    assert all(eni["TagSet"] == [{"Key": "k", "Value": "v"}] for eni in interfaces(vpc))
    # The groups of an instance are those of its primary interface.
    vpc.call(
        "ec2",
        "ModifyNetworkInterfaceAttribute",
        {"NetworkInterfaceId": primary["NetworkInterfaceId"], "Groups": [other]},
    )
    assert described(vpc, node["InstanceId"])["SecurityGroups"][0]["GroupName"] == "pods"


def test_an_interface_that_is_there_can_be_the_primary_one(vpc):
    eni = vpc.call("ec2", "CreateNetworkInterface", {"SubnetId": "subnet-b"})["NetworkInterface"]
    given = [{"DeviceIndex": 0, "NetworkInterfaceId": eni["NetworkInterfaceId"]}]
    (node,) = run(vpc, NetworkInterfaces=given)
    assert node["PrivateIpAddress"] == eni["PrivateIpAddress"]
    assert node["Placement"]["AvailabilityZone"] == "us-east-1b"
    assert node["NetworkInterfaces"][0]["Attachment"]["DeleteOnTermination"] is False
    again = RUN | {"NetworkInterfaces": given}
    assert refusal_of(vpc, "RunInstances", again) == (
        "InvalidNetworkInterface.InUse",
        f"Interface: [{eni['NetworkInterfaceId']}] in use.",
    )


def test_as_many_come_as_fit_but_not_fewer_than_the_least(vpc):
    assert len(run(vpc, SubnetId="subnet-b", MaxCount=20)) == 11  # a /28 less AWS's five
    assert refusal_of(vpc, "RunInstances", RUN | {"SubnetId": "subnet-b"})[0] == (
        "InsufficientFreeAddressesInSubnet"
    )
    vpc.account.add_subnet("10.0.2.0/28", subnet_id="subnet-c", zone="b")
    before = len(vpc.account.instances), len(vpc.account.enis)
    asked = RUN | {"SubnetId": "subnet-c", "MinCount": 12, "MaxCount": 20}
    assert refusal_of(vpc, "RunInstances", asked)[0] == "InsufficientFreeAddressesInSubnet"
    assert (len(vpc.account.instances), len(vpc.account.enis)) == before
    assert vpc.account.subnets.by_key["subnet-c"].available_addresses == 11


def test_a_launch_goes_where_it_is_told(vpc):
    assert run(vpc)[0]["SubnetId"] == "subnet-a"
    (node,) = run(vpc, Placement={"AvailabilityZone": "us-east-1b"})
    assert node["SubnetId"] == "subnet-b"
    (node,) = run(vpc, SubnetId="subnet-a", PrivateIpAddress="10.0.0.77", KeyName="k")
    assert (node["PrivateIpAddress"], node["KeyName"]) == ("10.0.0.77", "k")
    (node,) = run(vpc, SecurityGroups=["default"])
    assert node["SecurityGroups"][0]["GroupName"] == "default"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"ImageId": ""}, "MissingParameter"),
        ({"InstanceType": "m5.huge"}, "InvalidParameterValue"),
        ({"MinCount": 0}, "InvalidParameterValue"),
        ({"MinCount": 2}, "InvalidParameterValue"),
        ({"MaxCount": 1001}, "InvalidParameterValue"),
        ({"SubnetId": "subnet-00000000"}, "InvalidSubnetID.NotFound"),
        ({"SecurityGroupIds": ["sg-00000000"]}, "InvalidGroup.NotFound"),
        ({"SecurityGroups": ["none"]}, "InvalidGroup.NotFound"),
        ({"Placement": {"AvailabilityZone": "us-east-1z"}}, "InvalidParameterValue"),
        ({"NetworkInterfaces": []}, "InvalidParameterCombination"),
        ({"NetworkInterfaces": [{"DeviceIndex": 1}]}, "InvalidParameterCombination"),
        ({"NetworkInterfaces": [{"DeviceIndex": 0}] * 2}, "InvalidParameterCombination"),
        (
            {"NetworkInterfaces": [{"DeviceIndex": 0}], "SubnetId": "subnet-a"},
            "InvalidParameterCombination",
        ),
        (
            {"NetworkInterfaces": [{"DeviceIndex": device} for device in range(4)]},
            "AttachmentLimitExceeded",
        ),
        (
            {"NetworkInterfaces": [{"DeviceIndex": 0}, {"DeviceIndex": 0, "NetworkCardIndex": 1}]},
            "InvalidParameterValue",
        ),
        (
            {"NetworkInterfaces": [{"DeviceIndex": 0, "SecondaryPrivateIpAddressCount": 10}]},
            "PrivateIpAddressLimitExceeded",
        ),
        (
            {
                "NetworkInterfaces": [
                    {"DeviceIndex": 0, "SubnetId": "subnet-a"},
                    {"DeviceIndex": 1, "SubnetId": "subnet-b"},
                ]
            },
            "InvalidParameterCombination",
        ),
        ({"TagSpecifications": [{"ResourceType": "vpc", "Tags": []}]}, "InvalidParameterValue"),
    ],
)
def test_a_launch_that_cannot_be_launches_nothing(vpc, params, code):
    assert refusal_of(vpc, "RunInstances", RUN | params)[0] == code
    assert len(vpc.account.instances) == len(vpc.account.enis) == 0


# --- attachments ----------------------------------------------------------------------------


def create(vpc, subnet_id="subnet-a"):
    made = vpc.call("ec2", "CreateNetworkInterface", {"SubnetId": subnet_id})
    return made["NetworkInterface"]["NetworkInterfaceId"]


def test_an_instance_takes_as_many_interfaces_as_its_type_allows(vpc, clock):
    node = launch(vpc, clock, SubnetId="subnet-a")
    asked = {"InstanceId": node, "NetworkCardIndex": 0}
    for device in (1, 2):
        params = asked | {"NetworkInterfaceId": create(vpc), "DeviceIndex": device}
        assert vpc.call("ec2", "AttachNetworkInterface", params)["NetworkCardIndex"] == 0
    params = asked | {"NetworkInterfaceId": create(vpc), "DeviceIndex": 3}
    assert refusal_of(vpc, "AttachNetworkInterface", params) == (
        "AttachmentLimitExceeded",
        "Interface count 4 exceeds the limit for m5.large",
    )


def test_each_network_card_has_places_of_its_own(vpc, clock):
    node = launch(vpc, clock, SubnetId="subnet-a", InstanceType="p4d.24xlarge")  # 4 cards of 15
    for card in range(1, 4):
        params = {"NetworkInterfaceId": create(vpc), "InstanceId": node, "DeviceIndex": 0}
        vpc.call("ec2", "AttachNetworkInterface", params | {"NetworkCardIndex": card})
    found = interfaces(vpc, **{"attachment.network-card-index": "2"})
    assert found[0]["Attachment"]["DeviceIndex"] == 0
    # Only the first card's first interface is the primary one.
    vpc.call(
        "ec2",
        "DetachNetworkInterface",
        {"AttachmentId": found[0]["Attachment"]["AttachmentId"]},
    )


def test_an_attachment_that_cannot_be_is_refused(vpc, clock):
    node = launch(vpc, clock, SubnetId="subnet-a")
    eni = create(vpc)
    asked = {"NetworkInterfaceId": eni, "InstanceId": node, "DeviceIndex": 1}
    for params, code in (
        ({"DeviceIndex": 0}, "InvalidParameterValue"),
        ({"DeviceIndex": -1}, "InvalidParameterValue"),
        ({"NetworkCardIndex": 1}, "InvalidParameterValue"),
        ({"InstanceId": "i-00000000"}, "InvalidInstanceID.NotFound"),
        ({"InstanceId": "node"}, "InvalidInstanceID.Malformed"),
        ({"NetworkInterfaceId": "eni-00000000"}, "InvalidNetworkInterfaceID.NotFound"),
        ({"NetworkInterfaceId": create(vpc, "subnet-b")}, "InvalidParameterCombination"),
    ):
        assert refusal_of(vpc, "AttachNetworkInterface", asked | params)[0] == code, params
    assert refusal_of(vpc, "AttachNetworkInterface", asked | {"DeviceIndex": 0})[1] == (
        f"Instance '{node}' already has an interface attached at device index '0'."
    )
    vpc.call("ec2", "AttachNetworkInterface", asked)
    assert refusal_of(vpc, "AttachNetworkInterface", asked | {"DeviceIndex": 2}) == (
        "InvalidNetworkInterface.InUse",
        f"Interface: [{eni}] in use.",
    )
    other = launch(vpc, clock, SubnetId="subnet-a")
    vpc.call("ec2", "TerminateInstances", {"InstanceIds": [other]})
    free = asked | {"InstanceId": other, "NetworkInterfaceId": create(vpc)}
    assert refusal_of(vpc, "AttachNetworkInterface", free)[0] == "IncorrectState"


def test_a_primary_interface_stays_and_an_end_comes_once(vpc, clock):
    node = launch(vpc, clock, SubnetId="subnet-a")
    (primary,) = interfaces(vpc)
    asked = {"AttachmentId": primary["Attachment"]["AttachmentId"], "Force": True}
    assert refusal_of(vpc, "DetachNetworkInterface", asked) == (
        "OperationNotPermitted",
        "The network interface at device index 0 and networkCard index 0 cannot be detached.",
    )
    params = {"NetworkInterfaceId": create(vpc), "InstanceId": node, "DeviceIndex": 1}
    asked = {"AttachmentId": vpc.call("ec2", "AttachNetworkInterface", params)["AttachmentId"]}
    vpc.call("ec2", "DetachNetworkInterface", asked)
    assert refusal_of(vpc, "DetachNetworkInterface", asked)[0] == "IncorrectState"
    vpc.call("ec2", "DetachNetworkInterface", asked | {"Force": True})
    vpc.call("ec2", "DescribeInstances", {})
    assert refusal_of(vpc, "DetachNetworkInterface", asked)[0] == "InvalidAttachmentID.NotFound"
    odd = {"AttachmentId": "attach-1"}
    assert refusal_of(vpc, "DetachNetworkInterface", odd)[0] == (
        "InvalidNetworkInterfaceAttachmentId.Malformed"
    )
    # It may come again, and what was set for the old attachment is forgotten.
    attachment_id = vpc.call("ec2", "AttachNetworkInterface", params)["AttachmentId"]
    goes = {"AttachmentId": attachment_id, "DeleteOnTermination": True}
    eni = {"NetworkInterfaceId": params["NetworkInterfaceId"]}
    vpc.call("ec2", "ModifyNetworkInterfaceAttribute", eni | {"Attachment": goes})
    vpc.call("ec2", "DetachNetworkInterface", {"AttachmentId": attachment_id, "Force": True})
    vpc.call("ec2", "DescribeInstances", {})
    assert vpc.account.enis.by_key[params["NetworkInterfaceId"]].goes_with_instance is False
    vpc.call("ec2", "AttachNetworkInterface", params)
    clock.move(60)
    assert len(interfaces(vpc, status="in-use")) == 2


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "InvalidParameterCombination"),
        (
            {"Description": {"Value": "x"}, "SourceDestCheck": {"Value": False}},
            "InvalidParameterCombination",
        ),
        ({"Attachment": {"AttachmentId": "eni-attach-00000000"}}, "MissingParameter"),
        (
            {"Attachment": {"AttachmentId": "eni-attach-00000000", "DeleteOnTermination": True}},
            "InvalidAttachmentID.NotFound",
        ),
        ({"Description": {"Value": "x" * 256}}, "InvalidParameterValue"),
        ({"Groups": ["sg-00000000"]}, "InvalidGroup.NotFound"),
        ({"Groups": [f"sg-{n:08x}" for n in range(17)]}, "SecurityGroupsPerInterfaceLimitExceeded"),
    ],
)
def test_a_change_of_an_attribute_that_cannot_be_is_refused(vpc, params, code):
    asked = {"NetworkInterfaceId": create(vpc)} | params
    assert refusal_of(vpc, "ModifyNetworkInterfaceAttribute", asked)[0] == code


def test_a_change_of_an_attribute_shows(vpc):
    eni = create(vpc)
    for change in ({"Description": {"Value": "x"}}, {"SourceDestCheck": {"Value": False}}):
        params = {"NetworkInterfaceId": eni} | change
        vpc.call("ec2", "ModifyNetworkInterfaceAttribute", params)
    (found,) = interfaces(vpc, description="x")
    assert found["SourceDestCheck"] is False


# --- filters and types ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values", "n_found"),
    [
        ("instance-type", ["m5.large"], 2),
        ("instance-type", ["m*"], 3),
        ("instance-state-name", ["running", "pending"], 4),
        ("instance-state-name", ["terminated"], 0),
        ("instance-state-code", ["16"], 4),
        ("vpc-id", ["vpc-0*"], 4),
        ("subnet-id", ["subnet-b"], 1),
        ("availability-zone", ["us-east-1a"], 3),
        ("tag:kubernetes.io/cluster/demo", ["owned"], 1),
        ("tag-key", ["kubernetes.io/cluster/demo"], 1),
        ("network-interface.subnet-id", ["subnet-b"], 1),
        ("network-interface.addresses.private-ip-address", ["10.0.1.*"], 1),
        ("private-dns-name", ["ip-10-0-1-*"], 1),
        ("instance.group-name", ["default"], 4),
        ("architecture", ["arm64"], 1),
        ("owner-id", ["111122223333"], 4),
        ("launch-index", ["1"], 1),
    ],
)
def test_instances_by_filters(vpc, clock, name, values, n_found):
    tag = {"Key": "kubernetes.io/cluster/demo", "Value": "owned"}
    launch(vpc, clock, MaxCount=2, SubnetId="subnet-a")
    launch(vpc, clock, SubnetId="subnet-a", InstanceType="m8g.4xlarge")
    launch(vpc, clock, SubnetId="subnet-b", InstanceType="c5.xlarge",
           TagSpecifications=[{"ResourceType": "instance", "Tags": [tag]}])  # fmt: skip
    asked = {"Filters": [{"Name": name, "Values": values}]}
    reply = vpc.call("ec2", "DescribeInstances", asked)["Reservations"]
    assert sum(len(each["Instances"]) for each in reply) == n_found


def test_types_are_described_as_our_own_reader_reads_them(vpc):
    import json

    reply = vpc.call("ec2", "DescribeInstanceTypes", {})
    found = read_descriptions(json.dumps(reply))
    assert found.keys() == set(instances.names())
    for name in ("m5.large", "p4d.24xlarge", "m8g.4xlarge", "c5.metal"):
        own, read = instances.limits(name), found[name]
        assert read.enis_per_network_card == own.enis_per_network_card
        assert (read.ipv4_per_eni, read.hypervisor, read.vcpus) == (
            own.ipv4_per_eni, own.hypervisor, own.vcpus,
        )  # fmt: skip
    asked = {"InstanceTypes": ["m5.large", "m5.huge"]}
    assert refusal_of(vpc, "DescribeInstanceTypes", asked)[0] == "InvalidInstanceType"
    asked = {"Filters": [{"Name": "bare-metal", "Values": ["true"]}]}
    reply = vpc.call("ec2", "DescribeInstanceTypes", asked)["InstanceTypes"]
    assert all(each["InstanceType"].split(".")[1].startswith("metal") for each in reply)
    assert len(reply) > 50
