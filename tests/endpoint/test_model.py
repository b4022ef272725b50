"""Sequences of calls, driven by Hypothesis, next to a slow model of ENIs and addresses.

After every call EC2's descriptions are compared with the model: no address twice, limits kept,
free counts and attachments right; a call that is refused has changed nothing.
"""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Network

from botocore.exceptions import ClientError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ipam_core.endpoint.account import Delays
from ipam_core.endpoint.vpc import Vpc
from support.aws_shapes import Watch
from support.loopback import loopback
from support.soak import SOAK
from support.vpc_model import DELAYS_S, TYPES, SubnetModel, VpcModel, held
from support.vpcs import Clock

SUBNETS = [("10.0.0.0/26", "a"), ("10.0.1.0/28", "a"), ("10.0.2.0/25", "b")]


def code_of(call, **params):
    """Make a call; return its reply and the code of its refusal, one of them None."""
    try:
        return call(**params), None
    except ClientError as error:
        return None, error.response["Error"]["Code"]


class Calls(RuleBasedStateMachine):
    """Each rule is one call; what it names is drawn from all that there is, and was."""

    def __init__(self):
        super().__init__()
        self.clock = Clock()
        delays = Delays(**{f"{name}_s": delay for name, delay in DELAYS_S.items()})
        self.vpc = Vpc(seed=3, clock_ns=self.clock, delays=delays)
        self.watch = Watch()
        self.client = self.watch.on(loopback(self.vpc))
        self.model = VpcModel()
        for cidr, zone in SUBNETS:
            made = self.vpc.account.add_subnet(cidr, zone=zone, ipv6=False)
            subnet = SubnetModel(made.subnet_id, IPv4Network(cidr), made.zone)
            self.model.subnets[subnet.subnet_id] = subnet

    # --- drawing ------------------------------------------------------------------

    def pick(self, data, values, label):
        return data.draw(st.sampled_from(list(values)), label=label)

    def done(self, codes, code, allowed=frozenset()):
        """Compare how a call ended with how it must; return whether it was done."""
        if codes:
            assert code in codes, f"{code}; expected one of {sorted(codes)}"
        elif code is not None:
            assert code in allowed, f"refused with {code}; expected to be done"
        return code is None

    # --- instances ------------------------------------------------------------------

    @initialize(data=st.data())
    def first(self, data):
        for _ in range(2):
            self.run(data)

    @precondition(lambda self: len(self.model.instances) < 6)
    @rule(data=st.data())
    def run(self, data):
        subnet = self.pick(data, self.model.subnets.values(), "subnet")
        kind = data.draw(st.sampled_from(sorted(TYPES)), label="type")
        codes = self.model.expect_create(subnet)
        reply, code = code_of(
            self.client.run_instances,
            ImageId="ami-00000001",
            MinCount=1,
            MaxCount=1,
            InstanceType=kind,
            SubnetId=subnet.subnet_id,
        )
        if self.done(codes, code):
            self.model.did_run(subnet, kind, reply["Instances"][0])

    @precondition(lambda self: self.model.instances)
    @rule(data=st.data())
    def terminate(self, data):
        instance = self.pick(data, self.model.instances.values(), "instance")
        reply = self.client.terminate_instances(InstanceIds=[instance.instance_id])
        (change,) = reply["TerminatingInstances"]
        assert change["PreviousState"]["Name"] == instance.state
        self.model.did_terminate(instance)
        assert change["CurrentState"]["Name"] == instance.state

    # --- interfaces --------------------------------------------------------------------

    @rule(
        data=st.data(),
        kind=st.sampled_from(["none", "addresses", "prefixes", "given"]),
        n=st.integers(1, 12),
    )
    def create(self, data, kind, n):
        subnet = self.pick(data, self.model.subnets.values(), "subnet")
        given, params, counts = None, {}, {}
        if kind == "addresses":
            params, counts = {"SecondaryPrivateIpAddressCount": n}, {"n_addresses": n}
        elif kind == "prefixes":
            n = min(n, 8)
            params, counts = {"Ipv4PrefixCount": n}, {"n_prefixes": n}
        elif kind == "given":
            given = subnet.cidr[data.draw(st.integers(4, subnet.cidr.num_addresses - 2))]
            params = {"PrivateIpAddress": str(given)}
        codes = self.model.expect_create(subnet, **counts, given=given)
        allowed = set()
        if self.model.may_lack_block_after_draw(subnet, 1, counts.get("n_prefixes", 0)):
            allowed = {"InsufficientCidrBlocks"}
        reply, code = code_of(
            self.client.create_network_interface, SubnetId=subnet.subnet_id, **params
        )
        if self.done(codes, code, allowed):
            self.model.did_create(subnet, reply["NetworkInterface"], **counts, given=given)

    @precondition(lambda self: self.model.enis)
    @rule(data=st.data())
    def delete(self, data):
        eni = self.pick(data, self.model.enis.values(), "eni")
        codes = self.model.expect_delete(eni)
        _, code = code_of(self.client.delete_network_interface, NetworkInterfaceId=eni.eni_id)
        if self.done(codes, code):
            self.model.did_delete(eni)
            assert code_of(self.client.delete_network_interface, NetworkInterfaceId=eni.eni_id) == (
                None,
                "InvalidNetworkInterfaceID.NotFound",
            )

    @precondition(lambda self: self.model.enis and self.model.instances)
    @rule(data=st.data(), device=st.integers(0, 4))
    def attach(self, data, device):
        eni = self.pick(data, self.model.enis.values(), "eni")
        instance = self.pick(data, self.model.instances.values(), "instance")
        codes = self.model.expect_attach(eni, instance, device)
        reply, code = code_of(
            self.client.attach_network_interface,
            NetworkInterfaceId=eni.eni_id,
            InstanceId=instance.instance_id,
            DeviceIndex=device,
        )
        if self.done(codes, code):
            self.model.did_attach(eni, instance, device, reply["AttachmentId"])

    @precondition(lambda self: any(eni.attachment_id for eni in self.model.enis.values()))
    @rule(data=st.data(), force=st.booleans())
    def detach(self, data, force):
        attached = [eni for eni in self.model.enis.values() if eni.attachment_id]
        eni = self.pick(data, attached, "eni")
        codes = self.model.expect_detach(eni, force)
        _, code = code_of(
            self.client.detach_network_interface, AttachmentId=eni.attachment_id, Force=force
        )
        if self.done(codes, code):
            self.model.did_detach(eni, force)

    @precondition(lambda self: any(eni.attachment_id for eni in self.model.enis.values()))
    @rule(data=st.data(), goes=st.booleans())
    def delete_with_instance(self, data, goes):
        attached = [eni for eni in self.model.enis.values() if eni.attachment_id]
        eni = self.pick(data, attached, "eni")
        self.client.modify_network_interface_attribute(
            NetworkInterfaceId=eni.eni_id,
            Attachment={"AttachmentId": eni.attachment_id, "DeleteOnTermination": goes},
        )
        eni.goes = goes

    # --- addresses ---------------------------------------------------------------------

    @precondition(lambda self: self.model.enis)
    @rule(
        data=st.data(),
        kind=st.sampled_from(["addresses", "prefixes", "given", "given prefixes"]),
        n=st.integers(1, 10),
    )
    def assign(self, data, kind, n):
        eni = self.pick(data, self.model.enis.values(), "eni")
        cidr = eni.subnet.cidr
        n_addresses = n if kind == "addresses" else 0
        n_prefixes = min(n, 4) if kind == "prefixes" else 0
        places = st.lists(st.integers(4, cidr.num_addresses - 2), min_size=1, max_size=3)
        given = [cidr[each] for each in set(data.draw(places))] if kind == "given" else []
        given = [each for each in given if each != eni.primary]
        blocks = list(cidr.subnets(new_prefix=28))
        given_prefixes = [self.pick(data, blocks, "block")] if kind == "given prefixes" else []
        if not (n_addresses or n_prefixes or given or given_prefixes):
            return
        params = {
            "SecondaryPrivateIpAddressCount": n_addresses,
            "Ipv4PrefixCount": n_prefixes,
            "PrivateIpAddresses": list(map(str, given)),
            "Ipv4Prefixes": list(map(str, given_prefixes)),
        }
        codes = self.model.expect_assign(eni, n_addresses, n_prefixes, given, given_prefixes)
        reply, code = code_of(
            self.client.assign_private_ip_addresses,
            NetworkInterfaceId=eni.eni_id,
            **{name: value for name, value in params.items() if value},
        )
        if self.done(codes, code):
            self.model.did_assign(eni, reply, n_addresses, n_prefixes, given, given_prefixes)

    @precondition(lambda self: any(eni.n_held() > 1 for eni in self.model.enis.values()))
    @rule(data=st.data(), wrong=st.booleans())
    def unassign(self, data, wrong):
        holders = [eni for eni in self.model.enis.values() if eni.n_held() > 1]
        eni = self.pick(data, holders, "eni")
        everything = sorted(eni.addresses) + sorted(eni.prefixes)
        gone = data.draw(st.lists(st.sampled_from(everything), min_size=1, unique=True))
        addresses = [each for each in gone if not isinstance(each, IPv4Network)]
        prefixes = [each for each in gone if isinstance(each, IPv4Network)]
        others = set(eni.subnet.cidr) - self.model.kept(eni.subnet) - eni.addresses
        if wrong and (others := others - {eni.primary}):
            addresses.append(self.pick(data, sorted(others), "not its own"))
        codes = self.model.expect_unassign(eni, addresses, prefixes)
        params = {
            "PrivateIpAddresses": list(map(str, addresses)),
            "Ipv4Prefixes": list(map(str, prefixes)),
        }
        _, code = code_of(
            self.client.unassign_private_ip_addresses,
            NetworkInterfaceId=eni.eni_id,
            **{name: value for name, value in params.items() if value},
        )
        if self.done(codes, code):
            self.model.did_unassign(eni, addresses, prefixes)

    # --- reservations and time -----------------------------------------------------------

    @rule(data=st.data(), kind=st.sampled_from(["prefix", "explicit"]), bits=st.integers(26, 30))
    def reserve(self, data, kind, bits):
        subnet = self.pick(data, self.model.subnets.values(), "subnet")
        cidr = self.pick(data, IPv4Network("10.0.0.0/25").subnets(new_prefix=bits), "range")
        cidr = IPv4Network((int(subnet.cidr[0]) & ~0x7F | int(cidr[0]) & 0x7F, bits))
        codes = self.model.expect_reserve(subnet, cidr)
        reply, code = code_of(
            self.client.create_subnet_cidr_reservation,
            SubnetId=subnet.subnet_id,
            Cidr=str(cidr),
            ReservationType=kind,
        )
        if self.done(codes, code):
            made = reply["SubnetCidrReservation"]
            subnet.reservations[made["SubnetCidrReservationId"]] = cidr, kind

    @precondition(lambda self: any(s.reservations for s in self.model.subnets.values()))
    @rule(data=st.data())
    def end_reservation(self, data):
        with_some = [s for s in self.model.subnets.values() if s.reservations]
        subnet = self.pick(data, with_some, "subnet")
        reservation_id = self.pick(data, subnet.reservations, "reservation")
        self.client.delete_subnet_cidr_reservation(SubnetCidrReservationId=reservation_id)
        del subnet.reservations[reservation_id]

    @rule(seconds=st.sampled_from([0.5, 1, 2, 7]))
    def wait(self, seconds):
        self.clock.move(seconds)
        self.model.move(seconds)

    # --- what EC2 describes is what the model has ------------------------------------------

    @invariant()
    def kept_as_in_the_model(self):
        """Compare all that there is, asked of the VPC itself: that is quick."""
        self.model.move(0)
        ask = partial(self.vpc.call, "ec2")
        self.compare(
            ask("DescribeNetworkInterfaces", {})["NetworkInterfaces"],
            ask("DescribeSubnets", {})["Subnets"],
            ask("DescribeInstances", {})["Reservations"],
        )

    def teardown(self):
        """Compare it once more as boto3 reads it, page by page."""
        pages = self.client.get_paginator("describe_network_interfaces").paginate(
            PaginationConfig={"PageSize": 5}
        )
        self.compare(
            [eni for page in pages for eni in page["NetworkInterfaces"]],
            self.client.describe_subnets()["Subnets"],
            self.client.describe_instances()["Reservations"],
        )
        self.watch.check()

    def compare(self, enis, subnets, reservations):
        found = {eni["NetworkInterfaceId"]: eni for eni in enis}
        assert len(found) == len(enis)
        assert found.keys() == self.model.enis.keys()
        seen = set()
        for eni_id, described in found.items():
            eni = self.model.enis[eni_id]
            primary, addresses, prefixes = held(described)
            assert (primary, set(addresses), set(prefixes)) == (
                eni.primary,
                eni.addresses,
                eni.prefixes,
            )
            assert described["Status"] == eni.status
            assert described["SubnetId"] == eni.subnet.subnet_id
            attachment = described.get("Attachment", {})
            assert attachment.get("AttachmentId") == eni.attachment_id
            if eni.attachment_id:
                assert attachment["Status"] == eni.attachment_status
                assert attachment["InstanceId"] == eni.instance_id
                assert attachment["DeviceIndex"] == eni.device
                assert attachment["DeleteOnTermination"] == eni.goes
            assert not seen & eni.all_addresses(), "an address of two interfaces"
            seen |= eni.all_addresses()
        for described in subnets:
            subnet = self.model.subnets[described["SubnetId"]]
            assert described["AvailableIpAddressCount"] == self.model.n_free(subnet)
        states = {
            instance["InstanceId"]: instance["State"]["Name"]
            for reservation in reservations
            for instance in reservation["Instances"]
        }
        assert states == {i.instance_id: i.state for i in self.model.instances.values()}


Calls.TestCase.settings = settings(
    max_examples=300 if SOAK else 10, stateful_step_count=60 if SOAK else 40, deadline=None
)
TestCallsNextToTheModel = Calls.TestCase
