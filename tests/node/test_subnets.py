"""Which subnet a new ENI goes to, and which ENIs are the agent's, by their tags.

Source: pkg/awsutils/awsutils.go, isSubnetValidForENICreation, createENI; pkg/ipamd/ipamd.go,
setUnmanagedENIs.
"""

from __future__ import annotations

import pytest

from ipam_core.simulation.scenario.file import scenario_of
from ipam_core.simulation.scenario.player import Player
from ipam_core.tags import ROLE_TAG

CLUSTERS = "cni.networking.k8s.aws/cluster/"


def played(steps, *, node=None, **env):
    raw = {"instance_type": "m5.large", "env": env, "steps": steps, "node": node or {}}
    player = Player(scenario_of(raw))
    player.play()
    return player


def subnets_of(player):
    return [eni.subnet_id for eni in player.node.store.enis() if not eni.primary]


@pytest.mark.parametrize(
    ("name", "tags", "used"),
    [
        (None, {CLUSTERS + "theirs": "1"}, True),  # without a name of our own none is foreign
        ("ours", {CLUSTERS + "theirs": "1"}, False),
        ("ours", {CLUSTERS + "theirs": "1", CLUSTERS + "ours": "x"}, True),
        ("ours", {}, True),
    ],
)
def test_a_subnet_of_other_clusters_takes_no_eni(name, tags, used):
    steps = [
        {"op": "subnet", "free_ips": 9},
        {"op": "subnet", "id": "s2", "free_ips": 200, "tag": "1", "tags": tags},
        {"op": "boot"},
        {"op": "run", "seconds": 20},
    ]
    env = {"CLUSTER_NAME": name} if name else {}
    player = played(steps, WARM_ENI_TARGET="2", **env)
    assert subnets_of(player) == (["s2"] if used else [])


@pytest.mark.parametrize(
    ("tag", "used"), [("1", True), ("shared", True), ("0", False), ("", False)]
)
def test_any_role_but_0_and_none_includes_a_subnet(tag, used):
    steps = [
        {"op": "subnet", "free_ips": 9},
        {"op": "subnet", "id": "s2", "free_ips": 200, "tags": {ROLE_TAG: tag}},
        {"op": "boot"},
        {"op": "run", "seconds": 20},
    ]
    assert subnets_of(played(steps, WARM_ENI_TARGET="2")) == (["s2"] if used else [])


@pytest.mark.parametrize("fullest", ["s2", "s3"])
def test_the_subnet_with_most_free_addresses_comes_first(fullest):
    steps = [{"op": "subnet", "free_ips": 50}]
    steps += [
        {"op": "subnet", "id": each, "free_ips": 200 if each == fullest else 100, "tag": "1"}
        for each in ("s2", "s3")
    ]
    steps += [{"op": "boot"}, {"op": "run", "seconds": 10}]
    assert subnets_of(played(steps, WARM_ENI_TARGET="2")) == [fullest]


@pytest.mark.parametrize(("value", "n_managed"), [("true", 1), ("false", 2), ("True", 2)])
def test_an_eni_is_unmanaged_only_where_its_tag_says_true(value, n_managed):
    player = played(
        [{"op": "preattach", "ips_per_eni": [0, 3]}, {"op": "boot"}],
        node={"eni_tags": {"eni-before-1": {"node.k8s.amazonaws.com/no_manage": value}}},
        WARM_IP_TARGET="1",
    )
    assert len(player.node.store.enis()) == n_managed
