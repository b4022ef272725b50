"""Write the example: what the AWS command line prints of a /22 and of a /16.

    python examples/subnet/generate.py [FOLDER]

The /22 has owners of every kind, nodes of both modes and CIDR reservations. The /16 has
50,000 addresses on 2,000 interfaces, placed at random as EC2 does, around 240 blocks that
nothing touched yet. Everything follows from one seed; nothing is from a real account.
"""

import json
import random
import sys
from pathlib import Path

from ipam_core._subnet import Subnet

SMALL, LARGE = "subnet-0a11ce00000000022", "subnet-0b0b000000000016"
CLUSTER = "example"
SERVICES = (
    ("network_load_balancer", "ELB net/shop/50dc6c495c0c9188"),
    ("interface", "ELB app/shop/1f2c3d4e5f607182"),
    ("interface", "ELB old-shop"),
    ("nat_gateway", "Interface for NAT Gateway nat-0c0ffee000000001"),
    ("vpc_endpoint", "VPC Endpoint Interface vpce-0c0ffee000000002"),
    ("lambda", "AWS Lambda VPC ENI-resize-3f0c"),
    ("interface", "RDSNetworkInterface"),
    ("interface", "ElastiCache sessions-001"),
    ("interface", "EFS mount target for fs-0c0ffee000000003 (fsmt-0c0ffee000000004)"),
    ("interface", f"Amazon EKS {CLUSTER}"),
    ("interface", "Network Interface for Transit Gateway Attachment tgw-attach-0c0ffee000000005"),
)


class Region:
    """The interfaces and instances of the example, made one after the other."""

    def __init__(self, seed=22):
        self.random = random.Random(seed)
        self.interfaces = []
        self.instances = []

    def name(self, kind):
        return f"{kind}-0{self.random.getrandbits(64):016x}"

    def interface(self, subnet_id, subnet, n_addresses, **fields):
        """Add an interface with addresses that the subnet chooses; the first is its own."""
        addresses = subnet.take_addresses(n_addresses)
        prefixes = subnet.take_prefixes(fields.pop("n_prefixes", 0))
        self.interfaces.append(
            {
                "NetworkInterfaceId": self.name("eni"),
                "SubnetId": subnet_id,
                "VpcId": "vpc-0c0ffee0000000000",
                "InterfaceType": "interface",
                "Description": "",
                "Status": "in-use",
                "RequesterManaged": False,
                "PrivateIpAddress": addresses[0],
                "PrivateIpAddresses": [
                    {"Primary": at == 0, "PrivateIpAddress": address}
                    for at, address in enumerate(addresses)
                ],
            }
            | ({"Ipv4Prefixes": [{"Ipv4Prefix": each} for each in prefixes]} if prefixes else {})
            | fields
        )

    def service(self, subnet_id, subnet, kind, description):
        self.interface(
            subnet_id,
            subnet,
            1,
            InterfaceType=kind,
            Description=description,
            RequesterManaged=True,
            RequesterId="amazon-aws",
            Attachment={"InstanceOwnerId": "amazon-aws", "DeviceIndex": 1, "Status": "attached"},
        )

    def instance(self, instance_type, *tags):
        instance_id = self.name("i")
        self.instances.append(
            {
                "InstanceId": instance_id,
                "InstanceType": instance_type,
                "State": {"Code": 16, "Name": "running"},
                "Tags": [{"Key": key, "Value": value} for key, value in tags],
            }
        )
        return instance_id

    def node(self, subnet_id, subnet, instance_type, enis):
        """Add a node; `enis` are (addresses, prefixes) of each of its interfaces."""
        node = self.instance(instance_type, (f"kubernetes.io/cluster/{CLUSTER}", "owned"))
        for device, (n_addresses, n_prefixes) in enumerate(enis):
            self.interface(
                subnet_id,
                subnet,
                n_addresses,
                n_prefixes=n_prefixes,
                Description=f"aws-K8S-{node}" if device else "",
                Attachment={
                    "InstanceId": node,
                    "InstanceOwnerId": "123456789012",
                    "DeviceIndex": device,
                    "DeleteOnTermination": True,
                    "Status": "attached",
                },
            )


def small(region):
    """Return the /22: services, nodes of both modes, leaks, reservations."""
    reservations = (("10.0.3.0/26", "prefix"), ("10.0.2.240/28", "explicit"))
    subnet = Subnet("10.0.0.0/22", seed=1, reservations=reservations)
    untouched = subnet.take_prefixes(18)  # four of the reservation
    for kind, description in SERVICES:
        region.service(SMALL, subnet, kind, description)
    for _ in range(26):
        region.node(SMALL, subnet, "m5.large", [(region.random.randint(4, 10), 0)])
    for prefix in untouched[:2]:
        subnet.release_prefix(prefix)
    for _ in range(2):
        region.node(SMALL, subnet, "m5.xlarge", [(1, 1)])
    for prefix in untouched[2:]:
        subnet.release_prefix(prefix)
    bastion = region.instance("t3.micro", ("Name", "bastion"))
    region.interface(
        SMALL, subnet, 1, Attachment={"InstanceId": bastion, "DeviceIndex": 0, "Status": "attached"}
    )
    for _ in range(3):  # left behind by nodes that are gone
        gone = region.name("i")
        region.interface(SMALL, subnet, 3, Description=f"aws-K8S-{gone}", Status="available")
    return subnet


def large(region):
    """Return the /16: 50,000 addresses on 2,000 interfaces, some blocks untouched."""
    subnet = Subnet("10.1.0.0/16", seed=2)
    untouched = subnet.take_prefixes(240)
    for kind, description in SERVICES * 4:
        region.service(LARGE, subnet, kind, description)
    n_enis = 2000 - len(SERVICES) * 4  # four to a node
    rest = 50_000 - len(SERVICES) * 4
    sizes = [rest // n_enis + (at < rest % n_enis) for at in range(n_enis)]
    for at in range(0, n_enis, 4):
        region.node(LARGE, subnet, "m5.4xlarge", [(size, 0) for size in sizes[at : at + 4]])
    for prefix in untouched:
        subnet.release_prefix(prefix)
    return subnet


def documents(seed=22):
    """Return the documents by file name."""
    region = Region(seed)
    subnets = {SMALL: small(region), LARGE: large(region)}
    return {
        "subnets.json": {
            "Subnets": [
                {
                    "SubnetId": subnet_id,
                    "VpcId": "vpc-0c0ffee0000000000",
                    "AvailabilityZone": "eu-west-1a",
                    "CidrBlock": subnet.cidr,
                    "AvailableIpAddressCount": subnet.n_free,
                    "Ipv6Native": False,
                    "State": "available",
                }
                for subnet_id, subnet in subnets.items()
            ]
        },
        "interfaces.json": {"NetworkInterfaces": region.interfaces},
        "reservations.json": {
            "SubnetIpv4CidrReservations": [
                {
                    "SubnetCidrReservationId": f"scr-0c0ffee00000000{at}",
                    "SubnetId": SMALL,
                    "Cidr": cidr,
                    "ReservationType": kind,
                    "OwnerId": "123456789012",
                }
                for at, (cidr, kind) in enumerate(subnets[SMALL].reservations)
            ],
            "SubnetIpv6CidrReservations": [],
        },
        "instances.json": {
            "Reservations": [{"Instances": [instance]} for instance in region.instances]
        },
    }


def compact(document):
    """Return JSON with one line an entry."""
    lists = [
        f"{json.dumps(key)}:[\n" + ",\n".join(_line(entry) for entry in entries) + "\n]"
        for key, entries in document.items()
    ]
    return "{" + ",\n".join(lists) + "}\n"


def _line(entry):
    return json.dumps(entry, separators=(",", ":"))


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for name, document in documents().items():
        (folder / name).write_text(compact(document), encoding="utf-8")
