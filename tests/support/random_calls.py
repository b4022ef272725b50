"""Calls at random to a `Vpc`, of every action that changes something, good and bad ones."""

from ipam_core.cloud.refusals import Ec2Error

TYPES = ("m5.large", "c5.xlarge", "p4d.24xlarge")


class RandomCalls:
    """Makes one call after the other; `chance` is the only source of what they are."""

    def __init__(self, vpc, chance, clock):
        self.vpc = vpc
        self.chance = chance
        self.clock = clock
        self.n_done = 0
        self.codes = set()

    def step(self):
        """Wait a little, then make a call."""
        self.wait()
        return self.call()

    def wait(self):
        """Let some time go by, or none."""
        self.clock.move(self.chance.choice((0, 0, 0.1, 1, 5)))

    def call(self):
        """Make one call; return its action, parameters and reply, or its action and error."""
        action, params = self.chance.choice(MAKERS)(self)
        try:
            reply = self.vpc.call("ec2", action, params)
        except Ec2Error as error:
            self.codes.add(error.code)
            return action, (error.code, error.message)
        self.n_done += 1
        return action, params, reply

    # --- what there is to choose from ---

    def eni(self):
        return self.chance.choice([*self.vpc.account.enis.by_key, "eni-00000000"])

    def instance(self):
        return self.chance.choice([*self.vpc.account.instances.by_key, "i-00000000"])

    def subnet(self):
        return self.chance.choice([*self.vpc.account.subnets.by_key, "subnet-00000000"])

    def held(self, eni_id, name):
        eni = self.vpc.account.enis.by_key.get(eni_id)
        return [] if eni is None else getattr(eni, name)

    def some(self, values):
        return self.chance.sample(values, self.chance.randint(0, min(3, len(values))))

    def count(self):
        return self.chance.choice((1, 1, 2, 3, 9, 0))

    def address(self, subnet_id):
        found = self.vpc.account.subnets.by_key.get(subnet_id)
        base = "10.0.0.0" if found is None else found.subnet.cidr.split("/", maxsplit=1)[0]
        return ".".join([*base.split(".")[:3], str(self.chance.randint(0, 255))])

    # --- calls ---

    def create(self):
        params = {"SubnetId": self.subnet()}
        way = self.chance.randrange(7)
        if way == 0:
            params["SecondaryPrivateIpAddressCount"] = self.count()
        elif way == 1:
            params["Ipv4PrefixCount"] = self.count()
        elif way == 2:
            params["PrivateIpAddress"] = self.address(params["SubnetId"])
        elif way == 3:
            params["PrivateIpAddresses"] = [
                {"PrivateIpAddress": self.address(params["SubnetId"]), "Primary": number == 0}
                for number in range(3)
            ]
        elif way == 4:
            params["Ipv6PrefixCount"] = self.count()
        elif way == 5:
            params |= {"Ipv6AddressCount": self.count(), "Ipv4PrefixCount": 1}
        if self.chance.random() < 0.3:
            params["ClientToken"] = str(self.chance.randrange(5))
        return "CreateNetworkInterface", params

    def attach(self):
        return "AttachNetworkInterface", {
            "NetworkInterfaceId": self.eni(),
            "InstanceId": self.instance(),
            "DeviceIndex": self.chance.randrange(4),
            "NetworkCardIndex": self.chance.choice((0, 0, 1)),
        }

    def detach(self):
        attachment = getattr(self.vpc.account.enis.by_key.get(self.eni()), "attachment_id", None)
        force = self.chance.random() < 0.3
        return "DetachNetworkInterface", {"AttachmentId": attachment or "x", "Force": force}

    def delete(self):
        return "DeleteNetworkInterface", {"NetworkInterfaceId": self.eni()}

    def assign(self):
        eni = self.eni()
        params = {"NetworkInterfaceId": eni, "AllowReassignment": self.chance.random() < 0.5}
        name = self.chance.choice(("SecondaryPrivateIpAddressCount", "Ipv4PrefixCount", "", "p"))
        if name == "p":
            params["Ipv4Prefixes"] = [f"10.0.0.{16 * self.chance.randrange(16)}/28"]
        elif name:
            params[name] = self.count()
        else:
            subnet_id = self.held(eni, "subnet_id") or "?"
            params["PrivateIpAddresses"] = [self.address(subnet_id) for _ in range(2)]
        return "AssignPrivateIpAddresses", params

    def unassign(self):
        eni = self.eni()
        return "UnassignPrivateIpAddresses", {
            "NetworkInterfaceId": eni,
            "PrivateIpAddresses": self.some(self.held(eni, "addresses")),
            "Ipv4Prefixes": self.some(self.held(eni, "prefixes")),
        }

    def assign_ipv6(self):
        name = self.chance.choice(("Ipv6AddressCount", "Ipv6PrefixCount"))
        return "AssignIpv6Addresses", {"NetworkInterfaceId": self.eni(), name: self.count()}

    def unassign_ipv6(self):
        eni = self.eni()
        return "UnassignIpv6Addresses", {
            "NetworkInterfaceId": eni,
            "Ipv6Addresses": self.some(self.held(eni, "ipv6_addresses")),
            "Ipv6Prefixes": self.some(self.held(eni, "ipv6_prefixes")),
        }

    def run(self):
        if len(self.vpc.account.instances) > 6:
            return "TerminateInstances", {"InstanceIds": [self.instance()]}
        return "RunInstances", {
            "ImageId": "ami-1",
            "MinCount": 1,
            "MaxCount": self.count(),
            "InstanceType": self.chance.choice(TYPES),
            "SubnetId": self.subnet(),
        }

    def tag(self):
        resources = [self.eni(), self.instance()][: self.chance.randint(1, 2)]
        tags = [{"Key": self.chance.choice("ab"), "Value": self.chance.choice("xy")}]
        action = self.chance.choice(("CreateTags", "DeleteTags"))
        return action, {"Resources": resources, "Tags": tags}

    def modify(self):
        eni = self.eni()
        attachment = getattr(self.vpc.account.enis.by_key.get(eni), "attachment_id", None)
        change = self.chance.choice(
            (
                {"Attachment": {"AttachmentId": attachment or "x", "DeleteOnTermination": True}},
                {"Description": {"Value": "changed"}},
                {"SourceDestCheck": {"Value": False}},
                {},
            )
        )
        return "ModifyNetworkInterfaceAttribute", {"NetworkInterfaceId": eni} | change

    def reserve(self):
        rows = list(self.vpc.account.reservations.by_key)
        if rows and self.chance.random() < 0.5:
            chosen = self.chance.choice(rows)
            return "DeleteSubnetCidrReservation", {"SubnetCidrReservationId": chosen}
        return "CreateSubnetCidrReservation", {
            "SubnetId": self.subnet(),
            "Cidr": f"10.0.0.{32 * self.chance.randrange(8)}/27",
            "ReservationType": self.chance.choice(("prefix", "explicit")),
        }


MAKERS = (
    RandomCalls.create, RandomCalls.create, RandomCalls.attach, RandomCalls.attach,
    RandomCalls.detach, RandomCalls.delete, RandomCalls.assign, RandomCalls.assign,
    RandomCalls.unassign, RandomCalls.assign_ipv6, RandomCalls.unassign_ipv6, RandomCalls.run,
    RandomCalls.tag, RandomCalls.modify, RandomCalls.reserve,
)  # fmt: skip


def check(vpc):
    """Check what must hold of a VPC between any two calls."""
    account = vpc.account
    held = {}
    for subnet in account.subnets:
        subnet.subnet._check()
        of_subnet = {}
        for eni in account.enis.all_of("subnet-id", subnet.subnet_id):
            assert eni.subnet_id == subnet.subnet_id
            for each in (eni.primary_address, *eni.addresses, *eni.prefixes):
                assert each not in of_subnet, f"{each} is held twice"
                of_subnet[each] = eni
        assert of_subnet == subnet.holders
        n_held = sum(16 if "/" in each else 1 for each in of_subnet) + len(subnet.others)
        size = 16 * subnet.subnet.n_blocks
        assert subnet.available_addresses == size - 5 - n_held
        held |= of_subnet
    for instance in account.instances:
        enis = account.attached_to(instance.instance_id)
        limits = instance.limits
        for card, most in enumerate(limits.enis_per_network_card):
            assert sum(eni.network_card == card for eni in enis) <= most
        places = [(eni.network_card, eni.device_number) for eni in enis]
        assert len(set(places)) == len(places)
        assert all(1 + eni.n_slots <= limits.ipv4_per_eni for eni in enis)
        assert bool(enis) == (instance.state != "terminated")
    for eni in account.enis:
        assert (eni.attachment is None) == (eni.instance_id is None)
        assert (eni.status == "in-use") == (eni.attachment is not None)
        assert account.simulated.enis[eni.eni_id] is eni
    assert len(account.simulated.enis) == len(account.enis)
    macs = [eni.mac for eni in account.enis]
    assert len(set(macs)) == len(macs)
    ipv6 = [each for eni in account.enis for each in (*eni.ipv6_addresses, *eni.ipv6_prefixes)]
    assert len(set(ipv6)) == len(ipv6)
