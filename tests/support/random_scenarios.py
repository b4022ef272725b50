"""Random scenarios of a node, by seed: any type, settings, pods, faults, restarts, metadata lag.

One that goes wrong can be written to a file, played by hand and made shorter by leaving
steps out.
"""

from __future__ import annotations

import json
import random

from ipam_core.instances import limits
from ipam_core.simulation.scenario.file import scenario_of
from ipam_core.simulation.scenario.player import Player

TYPES = ("t3.small", "t3.medium", "c5.large", "m5.xlarge", "m5.2xlarge")
APIS = (
    "AssignPrivateIpAddresses",
    "UnassignPrivateIpAddresses",
    "CreateNetworkInterface",
    "AttachNetworkInterface",
    "DetachNetworkInterface",
    "DeleteNetworkInterface",
    "DescribeNetworkInterfaces",
    "DescribeSubnets",
    "DescribeInstances",
    "CreateTags",
    "ModifyNetworkInterfaceAttribute",
)
CODES = (
    "InsufficientCidrBlocks",
    "InsufficientFreeAddressesInSubnet",
    "RequestLimitExceeded",
    "InternalError",
    "UnauthorizedOperation",
    "PrivateIpAddressLimitExceeded",
)


def settings(rng):
    env = {}
    if rng.random() < 0.6:
        env["WARM_IP_TARGET"] = str(rng.choice([0, 1, 2, 5, 16]))
    if rng.random() < 0.5:
        env["MINIMUM_IP_TARGET"] = str(rng.choice([0, 1, 4, 12, 25]))
    if rng.random() < 0.5:
        env["WARM_ENI_TARGET"] = str(rng.choice([0, 1, 2]))
    if rng.random() < 0.4:
        env["ENABLE_PREFIX_DELEGATION"] = "true"
        env["WARM_PREFIX_TARGET"] = str(rng.choice([0, 1, 2]))
    if rng.random() < 0.2:
        env["ENABLE_SUBNET_DISCOVERY"] = "false"
    if rng.random() < 0.2:
        env["MAX_ENI"] = str(rng.choice([1, 2, 3]))
    if rng.random() < 0.2:
        env["IP_COOLDOWN_PERIOD"] = str(rng.choice([0, 5, 60]))
    return env


def step(rng):
    """Return one random step."""
    kind = rng.choices(
        ["run", "add", "del", "fail", "heal", "restart", "subnet", "cordon", "uncordon", "detach"],
        [8, 6, 5, 3, 1, 1, 1, 0.5, 1, 0.7],
    )[0]
    if kind == "add":
        return {"op": "add_pods", "n": rng.randint(1, 25)}
    if kind == "del":
        return {
            "op": "del_pods",
            "n": rng.randint(1, 25),
            "order": rng.choice(["oldest", "newest"]),
        }
    if kind == "fail":
        return {
            "op": "ec2_fail",
            "api": rng.choice(APIS),
            "code": rng.choice(CODES),
            "times": rng.randint(1, 15),
        }
    if kind == "subnet":
        free = rng.choice([0, 3, 40, 400])
        return {"op": "subnet", "free_ips": free, "free_prefixes": rng.choice([0, 1, free // 16])}
    if kind == "restart":
        return {"op": "restart", "env": settings(rng) if rng.random() < 0.4 else {}}
    simple = {"heal": "ec2_heal", "cordon": "cordon", "uncordon": "uncordon"}
    if kind in simple:
        return {"op": simple[kind]}
    if kind == "detach":
        return {"op": "detach_eni"}
    return {"op": "run", "seconds": 5 * rng.choice([1, 2, 6, 13, 30])}


def random_scenario(seed: int) -> dict:
    """Return a scenario: at its end nothing fails any more, and there is time to repair."""
    rng = random.Random(seed)
    instance_type = rng.choice(TYPES)
    steps = [step(rng) for _ in range(rng.randint(5, 30))]
    return {
        "id": f"random-{seed}",
        "instance_type": instance_type,
        "env": settings(rng),
        "max_pods": rng.choice([20, limits(instance_type).usual_max_pods, 250]),
        "node": {"metadata_lag_s": rng.choice([0, 0, 1, 3])},
        "steps": [{"op": "boot"}, *steps, *END],
    }


END = [
    {"op": "ec2_heal"},
    {"op": "uncordon"},
    {"op": "subnet", "free_ips": 1_000_000, "free_prefixes": 60_000},
    {"op": "restart", "label": "end"},
    {"op": "run", "seconds": 600},
]


class CheckedPlayer(Player):
    """Plays a scenario and checks after each step what must hold at any moment."""

    def play_checked(self):
        for _ in self.steps():
            self.check_invariants()
        self.check_end()

    def check_invariants(self):
        for store in self.node.stores:
            store._check()
        if not self.node.ready:
            return
        held = {a.sandbox: a.address for store in self.node.stores for a in store.assignments()}
        assert len(set(held.values())) == len(held), "an address is held twice"
        pods = {pod.sandbox for pod in self.running}
        assert set(held) <= pods, "an address is held by a pod that is gone"

    def check_end(self):
        assert self.init_error is None, f"the node does not start: {self.init_error}"
        # A pool without warm targets never rests for the 60 s after which a reconcile
        # comes (the real agent's fault too), so let it come here between two looks.
        self.now_ns += 61 * 10**9
        self._drive(self.node.reconcile())
        assert self.in_store() == self.in_cloud(), "the store and EC2 disagree"
        decision = self.node.decide()
        growable = [
            eni_id
            for eni_id in self.node.store.growable_enis(self.node.slots)
            if not (self.node.store.eni(eni_id).primary and self.node.settings.custom_networking)
        ]
        full = not self.node.has_room_for_eni(0) and not growable
        if self.waiting and decision.low and not full:
            raise AssertionError(f"{len(self.waiting)} pods wait and the pool should grow")
        for _ in range(2):  # an ENI without a date is dated first, and deleted the next time
            self.now_ns += 3600 * 10**9
            self._drive(self.node.clean_leaked(self.region.wall_time().timestamp()))
        loose = [eni.eni_id for eni in self.region.enis.values() if eni.instance_id is None]
        assert loose == [], "an ENI was leaked"

    def in_store(self):
        return {
            eni.eni_id: (set(store.addresses(eni.eni_id)), set(store.prefixes(eni.eni_id)))
            for store in self.node.stores
            for eni in store.enis()
        }

    def in_cloud(self):
        return {
            eni.eni_id: (set(eni.addresses), set(eni.prefixes)) for eni in self.instance.attached()
        }


def shrink(raw: dict, goes_wrong) -> dict:
    """Return the scenario with every step left out that is not needed to go wrong."""
    steps = raw["steps"]
    number = len(steps) - len(END) - 1
    while number > 0:
        shorter = {**raw, "steps": steps[:number] + steps[number + 1 :]}
        if goes_wrong(shorter):
            raw, steps = shorter, shorter["steps"]
        number -= 1
    return raw


def verdict(raw: dict) -> str | None:
    """Play a scenario; return what went wrong, None if nothing did."""
    try:
        CheckedPlayer(scenario_of(raw), seed=len(raw["steps"]), record=False).play_checked()
    except AssertionError as error:
        return str(error)
    return None


def told(raw: dict) -> str:
    """Return what a failing test says: the seed, and a scenario file that replays it."""
    short = shrink(raw, lambda shorter: verdict(shorter) is not None)
    return f"{raw['id']}: {verdict(short)}\n{json.dumps(short)}"
