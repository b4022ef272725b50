"""`subnet report --cluster` reads a served VPC as it reads AWS."""

from ipam_core.endpoint.vpc import Vpc
from ipam_core.subnet.live import read_live
from ipam_core.subnet.report import report_on
from support.loopback import loopback
from support.vpcs import Clock, launch

CLUSTER_TAG = {"Key": "kubernetes.io/cluster/demo", "Value": "owned"}


class Session:
    """A boto3 session whose clients a `Vpc` answers."""

    def __init__(self, vpc):
        self.vpc = vpc

    def client(self, service, **_):
        return loopback(self.vpc, service)


def test_the_report_of_a_cluster_counts_what_the_vpc_holds():
    clock = Clock()
    vpc = Vpc(seed=1, cluster="demo", clock_ns=clock)
    reserved = [("10.0.0.192/27", "prefix")]
    vpc.account.add_subnet("10.0.0.0/24", subnet_id="subnet-a", used=9, reservations=reserved)
    vpc.account.add_subnet("10.0.1.0/24", subnet_id="subnet-b")  # of pods: ENIConfig
    vpc.account.add_subnet("10.0.2.0/24", subnet_id="subnet-c")
    vpc.account.cluster_subnets = ("subnet-a",)
    tags = [{"ResourceType": "instance", "Tags": [CLUSTER_TAG]}]
    node = launch(vpc, clock, SubnetId="subnet-a", TagSpecifications=tags)
    asked = {"SubnetId": "subnet-b", "Ipv4PrefixCount": 2}
    eni = vpc.call("ec2", "CreateNetworkInterface", asked)["NetworkInterface"]
    attach = {"InstanceId": node, "DeviceIndex": 1}
    attach["NetworkInterfaceId"] = eni["NetworkInterfaceId"]
    vpc.call("ec2", "AttachNetworkInterface", attach)
    clock.move(60)

    inventory, chosen = read_live(cluster="demo", session=Session(vpc))
    assert chosen == ["subnet-a", "subnet-b"]  # not the one that the cluster has nothing in
    first, second = (report_on(inventory, each) for each in chosen)
    assert first.agrees is False  # nine addresses are held by no ENI that EC2 shows
    assert second.agrees
    for report, subnet_id in ((first, "subnet-a"), (second, "subnet-b")):
        kept = vpc.account.subnets.by_key[subnet_id]
        assert report.available == kept.available_addresses
        assert report.fragmentation.prefix_reserved == (2 if subnet_id == "subnet-a" else 0)
    assert second.fragmentation.prefix_allocated == 2
    assert second.fragmentation == vpc.account.subnets.by_key["subnet-b"].subnet.fragmentation()
