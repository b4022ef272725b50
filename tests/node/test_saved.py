"""A node's state through JSON: the node that is read goes on as the one that was written."""

from __future__ import annotations

import copy
import json
import random
import time
from dataclasses import fields, replace

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam_core import IPAM_CORE, VPC_CNI, Node, Sandbox, Settings, SimulatedCloud, drive, pool
from ipam_core.errors import InputError
from ipam_core.node.state import NodeState
from ipam_core.node.timers import Timers
from ipam_core.schemas import schema
from ipam_core.units import NS

CHECKER = jsonschema.Draft202012Validator(schema("node/1"))
SETTINGS = [
    Settings(warm_ip_target=2),
    Settings(enable_prefix_delegation=True),
    Settings(warm_ip_target=3, minimum_ip_target=9, enable_prefix_delegation=True),
    Settings(max_eni=2, cooldown_s=5),
    Settings(enable_multi_nic=True),
]


def ahead(view):
    return pool.aim(view, warm_ip=max([1, *view.recent_in_use[-3:]]))


OWN = replace(IPAM_CORE, name="own", rule=ahead, memory_s=60)


class Life:
    """A node on a simulated cloud, in its own time."""

    def __init__(self, settings, policy, seed, cidr="10.0.0.0/24"):
        self.now_ns = 10**12
        self.cloud = SimulatedCloud("m5.large", cidr=cidr, seed=seed)
        self.node = Node(
            self.cloud.limits, settings, policy=policy, clock_ns=lambda: self.now_ns, seed=seed
        )
        drive(self.node.start(), self.cloud, sleep=self.sleep)

    def sleep(self, seconds):
        self.now_ns += round(seconds * NS)

    def twin(self, document):
        """Return the same life with the node of a document."""
        other = object.__new__(Life)
        other.now_ns, other.cloud = self.now_ns, copy.deepcopy(self.cloud)
        other.node = Node.from_dict(document, policy=OWN, clock_ns=lambda: other.now_ns)
        return other

    def act(self, what, number):
        sandbox, node = Sandbox(f"c{number}"), self.node
        if what == "add":
            node.try_add_pod(sandbox, f"ns/{number}" if number % 3 else None)
        elif what == "remove":
            node.try_remove_pod(sandbox)
        elif what == "wait":
            self.sleep(number * 4)
        elif what == "check":
            drive(node.adjust(), self.cloud, sleep=self.sleep)
        else:
            drive(node.reconcile(), self.cloud, sleep=self.sleep)


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "remove", "wait", "check", "check", "reconcile"]),
        st.integers(0, 40),
    ),
    max_size=40,
)


@given(
    settings=st.sampled_from(SETTINGS),
    policy=st.sampled_from([VPC_CNI, IPAM_CORE, OWN]),
    cidr=st.sampled_from(["10.0.0.0/24", "10.0.0.0/28"]),  # the /28 is full soon
    before=ACTS,
    after=ACTS,
)
def test_a_node_that_is_read_goes_on_as_it_was(settings, policy, cidr, before, after):
    life = Life(settings, policy, seed=3, cidr=cidr)
    for act in before:
        life.act(*act)
    document = life.node.to_dict()
    assert [error.message for error in CHECKER.iter_errors(document)] == []
    twin = life.twin(json.loads(json.dumps(document, allow_nan=False)))
    assert twin.node.to_dict() == document
    for act in after:
        for each in (life, twin):
            each.act(*act)
    assert twin.node.to_dict() == life.node.to_dict()
    for store in twin.node.stores:
        store._check()


def test_nothing_of_a_state_is_left_out():
    """A new attribute must be written, or named here with the reason."""
    node = Life(SETTINGS[0], VPC_CNI, seed=1).node
    derived = {"clock_ns", "mode", "prefix_mode", "falls_back", "slots", "max_enis", "served",
               "give", "_decider"}  # fmt: skip
    left = {"last_error", "last_error_ns"}  # shown to people, decides nothing
    other_names = {"_random": "random", "replies": "primary_addresses"}
    names = {other_names.get(name, name) for name in vars(node)} - derived - left
    assert names | {"schema"} == node.to_dict().keys()
    written = {*Timers.__slots__} - {"release_delay_ns"}  # of the policy
    assert written == node.to_dict()["timers"].keys()
    assert {each.name for each in fields(Settings)} - {"warnings"} == (
        node.to_dict()["settings"].keys()
    )
    assert set(vars(node.waiting)) == {"_clock_ns", "_lock", "_refused_ns"}
    assert isinstance(node, NodeState)


def test_what_is_rare_comes_back_too():
    life = Life(SETTINGS[0], VPC_CNI, seed=1)
    node = life.node
    node.jittered(1.0, 0.5)
    node.unattached.keep("10.0.0.99", node_holder(7))
    node.to_forget.append(("10.0.0.98", Sandbox("gone")))
    node.unmanaged.add("eni-other")
    node.links["eni-1"] = "10.0.0.4"
    node.unfinished["eni-2"] = "trunk"
    node.security_groups.add("sg-1")
    node.n_dropped_prefixes[0] = 2
    node.set_max_pods(12)
    document = json.loads(json.dumps(node.to_dict()))
    assert CHECKER.is_valid(document)
    again = Node.from_dict(document, clock_ns=node.clock_ns)
    assert again.to_dict() == node.to_dict() == document
    assert again.jittered(1.0, 0.5) == node.jittered(1.0, 0.5)
    assert again.decide() == node.decide()
    assert again.unattached == node.unattached
    assert again.seed == node.seed == 1
    assert again.waiting is not node.waiting


def node_holder(at_ns):
    from ipam_core.node.unattached import Holder

    return Holder(sandbox=Sandbox("c", "eth1"), pod=None, assigned_ns=at_ns)


def test_a_node_on_the_machines_clock_stays_on_it():
    cloud = SimulatedCloud("m5.large", seed=1)
    node = Node(cloud.limits, SETTINGS[0])
    drive(node.start(), cloud)
    node.add_pod(Sandbox("c1"))
    again = Node.from_dict(node.to_dict())
    assert again.clock_ns is time.monotonic_ns
    assert not again.store.given_time
    assert again.add_pod(Sandbox("c1")) == node.add_pod(Sandbox("c1"))
    assert Node.from_dict(node.to_dict(), clock_ns=lambda: 10**18).store.given_time


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "node/2"}, "schema 'node/2': this needs 'node/1'"),
        ({"policy": "theirs"}, "policy 'theirs': give it as `policy`; known: vpc-cni, ipam-core"),
        ({"settings": {"warm_ip_target": -1}}, "no state of a node: ValueError"),
        ({"settings": {"colour": 1}}, "no state of a node: TypeError"),
        ({"limits": {}}, "no state of a node: KeyError"),
        ({"max_pods": "many"}, "an integer is needed, not 'many'"),
        ({"max_pods": True}, "an integer is needed, not True"),
        ({"stores": []}, "no state of a node: .*0 stores: there are 1 cards"),
        ({"stores": [{"mode": "none"}]}, "no state of a node: "),
        ({"cards": [4]}, r"cards \[4\], 1 stores: there are 1 cards"),
        ({"cards": [-1]}, r"cards \[-1\], 1 stores"),
        ({"unmanaged": [7]}, "a text is needed, not 7"),
        ({"links": []}, "no state of a node: AttributeError"),
        ({"memories": [[]]}, "not of 1 network cards"),
        ({"waiting": [{"refused_ns": 1}]}, "no state of a node: KeyError"),
        ({"random": [3, [], None]}, "no state of a node: "),
        ({"timers": {}}, "no state of a node: KeyError"),
        ({"emptied": [{}]}, "no state of a node: TypeError"),
    ],
)
def test_what_is_no_state_is_refused(change, said):
    document = Life(SETTINGS[0], VPC_CNI, seed=1).node.to_dict()
    with pytest.raises(InputError, match=said):
        Node.from_dict(document | change)


def test_any_one_value_changed_is_refused_or_a_node():
    """Damage never ends in another error, nor in a store whose invariants do not hold."""
    chance = random.Random(5)
    document = Life(SETTINGS[1], VPC_CNI, seed=1).node.to_dict()
    n_refused = 0
    for _ in range(300):
        damaged = json.loads(json.dumps(document))
        at = damaged
        while True:
            key = chance.choice([*at] if isinstance(at, dict) else range(len(at)))
            if not (isinstance(at[key], dict | list) and at[key]) or chance.random() < 0.2:
                break
            at = at[key]
        at[key] = chance.choice([None, -1, 2**70, "x", [], {}, 1.5, True])
        try:
            node = Node.from_dict(damaged, policy=OWN)
        except InputError:
            n_refused += 1
        else:
            for store in node.stores:
                store._check()
    assert n_refused > 100
