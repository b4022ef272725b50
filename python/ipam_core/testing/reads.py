"""The checks of what only reads, and of a whole node that lives on the cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core import effects as fx
from ipam_core._store import Sandbox
from ipam_core.cloud import drive
from ipam_core.errors import IpamError
from ipam_core.node import Node
from ipam_core.settings import Settings
from ipam_core.tags import NODE_TAG
from ipam_core.testing.trial import held_by

if TYPE_CHECKING:
    from collections.abc import Collection

    from ipam_core.testing.trial import Trial


def primary_eni(trial: Trial) -> None:
    """A fresh instance has its primary ENI at device 0, as EC2 describes it too."""
    primary, described = trial.primary, trial.describe(trial.eni_id)
    trial.equal("device number of the primary ENI", primary.device_number, 0)
    card = trial.limits.default_network_card
    trial.equal("network card of the primary ENI", primary.network_card, card)
    trial.inside("primary address", [primary.primary_address])
    trial.expect(primary.subnet_id, "metadata gives the primary ENI no subnet")
    trial.equal("what a fresh primary ENI holds", held_by(primary), ())
    trial.equal("what EC2 says that it holds", held_by(described), ())
    trial.equal("status of the primary ENI", described.status, "in-use")
    trial.expect(described.attachment_id, "EC2 describes the primary ENI without an attachment")
    instance_id = trial.do(fx.ReadNodeTags())[NODE_TAG]
    trial.equal("instance of the primary ENI", described.instance_id, instance_id)


def reads_change_nothing(trial: Trial) -> None:
    """What only reads can be read again, and is the same."""
    trial.create()
    for effect in (
        fx.ReadAttachedEnis(),
        fx.ReadNodeTags(),
        fx.ReadSecurityGroups(),
        fx.ReadUnschedulable(),
        fx.ReadCheckpoint(),
        fx.FindFreeDevice(trial.limits.default_network_card),
        fx.DescribeEnis(tuple(trial.enis)),
        fx.FindNodelessEnis(),
        fx.DescribeSubnets(),
    ):
        before = trial.state()
        first, second = trial.do(effect), trial.do(effect)
        trial.equal(f"second reply of {type(effect).__name__}", second, first)
        trial.equal(f"what EC2 describes after {type(effect).__name__}", trial.state(), before)


def descriptions(trial: Trial) -> None:
    """DescribeEnis keeps the order of the ids, and describes none where none is asked for."""
    ids = tuple(sorted(trial.create() for _ in range(3)))
    for asked in (ids, ids[::-1], ids[:1], ()):
        found = tuple(eni.eni_id for eni in trial.do(fx.DescribeEnis(asked)))
        trial.equal(f"order of DescribeEnis({asked})", found, asked)


def leaked_enis(trial: Trial) -> None:
    """FindNodelessEnis gives the ENIs of nodes that are attached to nothing, and no other."""
    attached, free = trial.create(), trial.create()
    trial.attach(attached)
    found = {eni.eni_id: eni for eni in trial.do(fx.FindNodelessEnis())}
    trial.expect(free in found, f"FindNodelessEnis() lacks {free}, which is attached to nothing")
    for eni_id in (attached, trial.eni_id):
        trial.expect(eni_id not in found, f"FindNodelessEnis() gives {eni_id}, which is attached")
    for eni in found.values():
        trial.equal(f"status of {eni.eni_id} of FindNodelessEnis()", eni.status, "available")
        trial.expect(
            NODE_TAG in eni.tags, f"FindNodelessEnis() gives {eni.eni_id} without tag {NODE_TAG}"
        )


def subnets(trial: Trial) -> None:
    """DescribeSubnets gives the primary ENI's subnet with its free addresses.

    EC2 keeps five addresses of each subnet for itself.
    """
    expected = trial.network.num_addresses - 5 - 1
    trial.equal("free addresses next to one primary address", trial.free(), expected)


def surroundings(trial: Trial) -> None:
    """What Kubernetes and the checkpoint say of a fresh node."""
    trial.equal("ReadUnschedulable() of a fresh node", trial.do(fx.ReadUnschedulable()), False)
    trial.equal("ReadCheckpoint() of a fresh node", trial.do(fx.ReadCheckpoint()), ())
    nothing = fx.ForgetAssignments(((trial.primary.primary_address, Sandbox("never")),))
    trial.unchanged_by(nothing)
    trial.optional(fx.ReadEniConfig())  # a node without custom networking has none


def whole_node(trial: Trial) -> None:
    """A node starts, grows to a second ENI for its pods, and shrinks when they are gone."""
    n_pods = trial.limits.slots + 2
    node = Node(trial.limits, Settings(warm_ip_target=1, minimum_ip_target=1))
    held: dict[str, Sandbox] = {}
    try:
        drive(node.start(), trial, sleep=trial.sleep)
        for number in range(n_pods):
            if not node.store.stats().assignable:
                drive(node.adjust(), trial, sleep=trial.sleep)
            pod = Sandbox(f"pod-{number}")
            held[node.add_pod(pod, f"default/pod-{number}").address] = pod
    except IpamError as error:
        last = f"; its last error: {node.last_error}" if node.last_error else ""
        trial.expect(False, f"a node serves {len(held)} of {n_pods} pods: {error}{last}")
        return
    trial.equal("different addresses of the pods of a node", len(held), n_pods)
    trial.inside("address of a pod", held)
    trial.eventually(
        f"metadata shows the addresses of all {n_pods} pods of a node, on two ENIs",
        lambda: _on_enis(trial, held) == 2,
    )
    for pod in held.values():
        node.remove_pod(pod)


def _on_enis(trial: Trial, held: Collection[str]) -> int:
    """Return on how many ENIs the addresses of pods are; 0 where one is on none."""
    shown = [set(eni.addresses) for eni in trial.do(fx.ReadAttachedEnis())]
    return (
        sum(not each.isdisjoint(held) for each in shown) if set(held) <= set().union(*shown) else 0
    )
