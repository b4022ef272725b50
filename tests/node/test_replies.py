"""Whatever answers an effect, a node gets what is documented, or a typed error."""

from __future__ import annotations

import ipaddress
import random
from dataclasses import fields, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ipam_core import IPAM_CORE, VPC_CNI, Sandbox, replies
from ipam_core import effects as fx
from ipam_core.cloud import drive
from ipam_core.errors import CloudError, PoolExhaustedError, ReplyError, UnknownSandboxError
from ipam_core.node import StartError
from ipam_core.replies import FIELDS, Replies
from ipam_core.tags import NODE_TAG
from support.node_world import World

EFFECTS = [
    fx.AssignPrivateIps("eni-1", 2),
    fx.AssignPrefixes("eni-1", 1),
    fx.AssignIpv6Prefix("eni-1"),
    fx.UnassignPrivateIps("eni-1", ("10.0.0.5",)),
    fx.UnassignPrefixes("eni-1", ("10.0.1.0/28",)),
    fx.CreateEni(),
    fx.FindFreeDevice(),
    fx.AttachEni("eni-1", 1),
    fx.DeleteWithInstance("eni-1", "attach-1"),
    fx.SetSecurityGroups("eni-1", ("sg-1",)),
    fx.DetachEni("eni-1", "attach-1"),
    fx.DeleteEni("eni-1"),
    fx.TagEni("eni-1"),
    fx.TagCreatedAt("eni-1"),
    fx.DescribeEnis(("eni-1",)),
    fx.FindNodelessEnis(),
    fx.DescribeSubnets(),
    fx.ReadAttachedEnis(),
    fx.ReadNodeTags(),
    fx.ReadSecurityGroups(),
    fx.ReadUnschedulable(),
    fx.ReadEniConfig(),
    fx.SetUpHost(fx.AttachedEni(eni_id="eni-0", device_number=0)),
    fx.SetUpEni(fx.AttachedEni(eni_id="eni-1", device_number=1), 2),
    fx.SetUpPodRules((("10.0.0.5", 2),)),
    fx.TearDownEni("eni-1", "10.0.0.4"),
    fx.ReadCheckpoint(),
    fx.ForgetAssignments(()),
]
ATTACHED = fx.AttachedEni(
    eni_id="eni-1",
    device_number=0,
    primary_address="10.0.0.4",
    subnet_id="subnet-1",
    mac="02:00:00:00:00:0a",
    subnet_cidr="10.0.0.0/20",
    addresses=("10.0.0.5", "10.0.0.6"),
    prefixes=("10.0.1.0/28",),
    ipv6_prefixes=("2001:db8:0:0:1::/80",),
)
DESCRIBED = fx.EniDescription(
    eni_id="eni-1",
    addresses=("10.0.0.5",),
    prefixes=("10.0.1.0/28",),
    ipv6_prefixes=("2001:db8:0:0:1::/80",),
    attachment_id="attach-1",
    instance_id="i-1",
    tags={"a": "b", "c": ""},
)
SUBNET = fx.SubnetDescription(subnet_id="subnet-1", available_addresses=9, tags={"a": "b"})
CONFIG = fx.EniConfig(subnet_id="subnet-1", security_groups=("sg-1", "sg-2"))
ENTRY = fx.CheckpointEntry(
    container_id="c0", ifname="eth0", network="aws-cni", address="10.0.0.5", pod="default/a"
)
MEANT = {
    fx.AssignPrivateIps: ("10.0.0.7", "10.0.0.8"),
    fx.AssignPrefixes: ("10.0.2.0/28",),
    fx.AssignIpv6Prefix: ("2001:db8:0:0:1::/80",),
    fx.CreateEni: "eni-2",
    fx.FindFreeDevice: 1,
    fx.AttachEni: "attach-2",
    fx.DescribeEnis: (DESCRIBED,),
    fx.FindNodelessEnis: (DESCRIBED,),
    fx.DescribeSubnets: (SUBNET,),
    fx.ReadAttachedEnis: (ATTACHED,),
    fx.ReadNodeTags: {NODE_TAG: "i-1"},
    fx.ReadSecurityGroups: ("sg-1", "sg-2"),
    fx.ReadUnschedulable: False,
    fx.ReadEniConfig: CONFIG,
    fx.ReadCheckpoint: (ENTRY, replace(ENTRY, address="2001:db8::1", released_ago_s=1.5)),
}
"""A reply that makes sense, for every effect that has one."""
VALUES = [ATTACHED, DESCRIBED, SUBNET, CONFIG, ENTRY]
NO_VALUE = [object(), -1, float("nan"), b"x", (b"x",), [None], {"a": 1}, 10**30 + 0.5]
"""What no field of any reply may be."""


def of(effect_type):
    return next(effect for effect in EFFECTS if type(effect) is effect_type)


def answering(value):
    """Return an effect whose reply holds such a value, and the reply."""
    effect_type = next(
        kind
        for kind, reply in MEANT.items()
        if reply is value or (isinstance(reply, tuple) and reply[0] is value)
    )
    return of(effect_type), lambda other: other if MEANT[effect_type] is value else (other,)


def test_every_effect_and_every_value_of_a_reply_is_here():
    kinds = {
        kind
        for kind in vars(fx).values()
        if isinstance(kind, type) and issubclass(kind, fx.Effect) and kind is not fx.Effect
    }
    assert {type(effect) for effect in EFFECTS} == kinds - {fx.Sleep}
    assert {kind for kind in kinds if "Reply: None" not in kind.__doc__} == set(MEANT)
    assert set(FIELDS) == {type(value) for value in VALUES}
    for kind, checks in FIELDS.items():
        assert list(checks) == [field.name for field in fields(kind)]


@pytest.mark.parametrize("kind", MEANT, ids=lambda kind: kind.__name__)
def test_what_makes_sense_passes_as_it_is_and_nothing_else_does(kind):
    replies, meant = Replies(), MEANT[kind]
    assert replies.validate(of(kind), meant) == meant
    if isinstance(meant, tuple):
        assert replies.validate(of(kind), list(meant)) == meant
    for reply in (None, object(), -1, "", b"eni-2", 2.5, (None,), ("10.0.0.999",) * 2):
        with pytest.raises(ReplyError) as refused:
            replies.validate(of(kind), reply)
        assert refused.value.effect == refused.value.api == kind.__name__
        assert str(refused.value).startswith(f"{kind.__name__}: InvalidReply: ")


@pytest.mark.parametrize(
    ("value", "name"),
    [(value, field.name) for value in VALUES for field in fields(value)],
    ids=lambda part: part if isinstance(part, str) else type(part).__name__,
)
def test_every_field_of_a_reply_is_validated(value, name):
    effect, reply_of = answering(value)
    for other in NO_VALUE:
        with pytest.raises(ReplyError, match=f"{name} is not "):
            Replies().validate(effect, reply_of(replace(value, **{name: other})))


NONSENSE = {
    "no address": (fx.AssignPrivateIps, ()),
    "fewer addresses": (fx.AssignPrivateIps, ("10.0.0.7",)),
    "more addresses": (fx.AssignPrivateIps, ("10.0.0.7", "10.0.0.8", "10.0.0.9")),
    "one address twice": (fx.AssignPrivateIps, ("10.0.0.7", "10.0.0.7")),
    "no IPv4 address": (fx.AssignPrivateIps, ("10.0.0.7", "2001:db8::1")),
    "a zone": (fx.AssignPrivateIps, ("10.0.0.7", "10.0.0.8%eth0")),
    "a number": (fx.AssignPrivateIps, (167772167, 167772168)),
    "bits below a prefix": (fx.AssignPrefixes, ("10.0.2.1/28",)),
    "a larger prefix": (fx.AssignPrefixes, ("10.0.2.0/24",)),
    "no IPv6 prefix": (fx.AssignIpv6Prefix, ()),
    "a zone in a prefix": (fx.AssignIpv6Prefix, ("fe80::%eth0/80",)),
    "a boolean device": (fx.FindFreeDevice, True),
    "no description": (fx.DescribeEnis, ()),
    "two descriptions": (fx.DescribeEnis, (DESCRIBED, DESCRIBED)),
    "another's": (fx.DescribeEnis, (replace(DESCRIBED, eni_id="eni-9"),)),
    "an ENI twice": (fx.FindNodelessEnis, (DESCRIBED, DESCRIBED)),
    "a subnet twice": (fx.DescribeSubnets, (SUBNET, SUBNET)),
    "attached twice": (fx.ReadAttachedEnis, (ATTACHED, ATTACHED)),
    "a device twice": (fx.ReadAttachedEnis, (ATTACHED, replace(ATTACHED, eni_id="eni-2"))),
    "its primary": (fx.ReadAttachedEnis, (replace(ATTACHED, addresses=("10.0.0.4",)),)),
    "its primary's /28": (fx.ReadAttachedEnis, (replace(ATTACHED, prefixes=("10.0.0.0/28",)),)),
    "too many": (
        fx.ReadAttachedEnis,
        (replace(ATTACHED, addresses=tuple(f"10.0.3.{n}" for n in range(62))),),
    ),
    "1 for True": (fx.ReadUnschedulable, 1),
    "a NUL": (fx.ReadCheckpoint, (replace(ENTRY, container_id="a\0b"),)),
    "a mapping": (fx.ReadEniConfig, {"subnet_id": "subnet-1"}),
}


@pytest.mark.parametrize("case", NONSENSE)
def test_nonsense_is_refused(case):
    kind, reply = NONSENSE[case]
    with pytest.raises(ReplyError) as refused:
        Replies().validate(of(kind), reply)
    assert refused.value.effect == kind.__name__
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("cidr", ["10.0.0.4", "10.0.0.0/28"])
def test_an_enis_primary_address_that_metadata_showed_is_no_pods(cidr):
    replies = Replies()
    replies.validate(fx.ReadAttachedEnis(), (ATTACHED,))
    if "/" in cidr:
        effect, described = fx.AssignPrefixes("eni-1", 1), replace(DESCRIBED, prefixes=(cidr,))
    else:
        effect, described = fx.AssignPrivateIps("eni-1", 1), replace(DESCRIBED, addresses=(cidr,))
    for asked, reply in ((effect, (cidr,)), (fx.DescribeEnis(("eni-1",)), (described,))):
        with pytest.raises(ReplyError, match=r"the primary address 10\.0\.0\.4"):
            replies.validate(asked, reply)
    assert replies.validate(replace(effect, eni_id="eni-2"), (cidr,)) == (cidr,)


def test_a_step_meets_nonsense_as_a_failed_call_and_goes_on():
    def step():
        try:
            yield fx.FindFreeDevice()
        except CloudError as error:
            met = error
        return met, (yield fx.FindFreeDevice())

    class Cloud:
        def __init__(self, *answers):
            self.answers = iter(answers)

        def perform(self, effect):
            return next(self.answers)

    met, device = drive(Replies().checked(step()), Cloud(-1, 3))
    assert (met.effect, met.reply, device) == ("FindFreeDevice", -1, 3)


# --- a whole node ---------------------------------------------------------------------


def spoiled(rng, reply):
    """Return a reply with something wrong in it, or something else altogether."""
    kinds = ["other", "twice", "none"] + ["field"] * 3 * isinstance(reply, tuple)
    match rng.choice(kinds):
        case "twice" if isinstance(reply, tuple):
            return reply * 2
        case "none" if isinstance(reply, tuple):
            return reply[:-1]
        case "field" if reply and not isinstance(reply[0], str):
            number = rng.randrange(len(reply))
            name = rng.choice([field.name for field in fields(reply[number])])
            wrong = rng.choice([*NO_VALUE, None, "", "x", 10**30, ("10.0.0.1",), True])
            one = replace(reply[number], **{name: wrong})
            return (*reply[:number], one, *reply[number + 1 :])
        case _:
            return rng.choice([*NO_VALUE, None, "", "eni-x", 7, True, ("10.0.0.1",), ATTACHED])


class Spoiling:
    """The world's instance, some of whose replies are spoiled on the way."""

    def __init__(self, instance, rng):
        self.instance, self.rng, self.share = instance, rng, 0.0

    def perform(self, effect):
        reply = self.instance.perform(effect)
        return spoiled(self.rng, reply) if self.rng.random() < self.share else reply


ENVS = [
    {"WARM_IP_TARGET": "2"},
    {"WARM_ENI_TARGET": "1"},
    {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"},
    {"AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": "true", "WARM_IP_TARGET": "2"},
    {"ENABLE_IPv6": "true", "ENABLE_IPv4": "false", "ENABLE_PREFIX_DELEGATION": "true"},
]


@pytest.mark.parametrize("policy", [VPC_CNI, IPAM_CORE], ids=lambda policy: policy.name)
@pytest.mark.parametrize("env", ENVS, ids=lambda env: next(iter(env)))
@pytest.mark.parametrize("seed", range(8))
def test_a_node_that_hears_nonsense_keeps_its_invariants_and_lets_nothing_out(env, policy, seed):
    rng = random.Random(f"{seed}{env}{policy.name}")
    world = World("m5.large", policy=policy, seed=seed, **env)
    world.instance.checkpoint = [replace(ENTRY, address="10.9.9.9")]
    cloud = Spoiling(world.instance, rng)

    def run(step):
        result = drive(step, cloud, sleep=world.sleep)
        for store in world.node.stores:
            store._check()
        return result

    cloud.share = 0.3
    for _ in range(20):
        try:
            run(world.node.start())
        except StartError:
            world.node = world.new_node()
        else:
            break
    cloud.share = 0.5
    held = []
    for number in range(60):
        if world.node.ready:
            try:
                world.node.add_pod(Sandbox(f"c{number}"))
            except PoolExhaustedError:
                pass
            else:
                held.append(Sandbox(f"c{number}"))
            if rng.random() < 0.3 and held:
                try:
                    run(world.node.drain(world.node.remove_pod(held.pop(0))))
                except UnknownSandboxError:
                    continue  # it went with its address
        world.sleep(rng.choice([2.5, 30, 70]))
        run(world.node.adjust())
        run(world.node.reconcile())
    run(world.node.clean_leaked(2e9))
    # In IPv6 mode nothing is asked once the node has started.
    assert world.node.last_error is not None or world.node.mode == "ipv6"


@settings(deadline=None)
@given(
    text=st.from_regex(r"\A[0-9]{1,3}(\.[0-9]{1,4}){3}\Z")
    | st.ip_addresses(v=4).map(str)
    | st.text(alphabet="0123456789.-/% \n\u0663a", max_size=18)
)
@example("10.0.0.1\n")
@example("01.0.0.1")
@example("10.0.0.256")
@example("1\u0663.0.0.1")
def test_an_ipv4_address_is_what_pythons_ipaddress_takes(text):
    try:
        ipaddress.IPv4Address(text)
        taken = True
    except ValueError:
        taken = False
    assert replies._is_ipv4(text) == taken
