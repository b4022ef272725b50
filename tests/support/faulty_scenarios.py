"""Random scenarios in which an effect may fail, be lost once it was done, or come twice."""

from __future__ import annotations

import random
from collections import Counter

from ipam_core import effects as fx
from ipam_core.cloud import drive
from ipam_core.cloud.codes import error_for
from ipam_core.cloud.region import PRIMARY_SUBNET
from ipam_core.errors import CheckpointWriteError, UnreachableError
from ipam_core.policy import VPC_CNI
from ipam_core.simulation.scenario.file import scenario_of
from ipam_core.simulation.scenario.spec import ScenarioStep
from ipam_core.tags import DESCRIPTION_PREFIX, NODE_TAG
from support.random_scenarios import CODES, END, CheckedPlayer, random_scenario

OF_THE_CHECKPOINT = (fx.ReadCheckpoint, fx.ForgetAssignments)
HOWS = ("fails", "lost", "twice")
SHARE = 0.15
"""How many effects go wrong while faults are on,"""
SHARE_OF_SELDOM = 0.5
"""and of those that a scenario rarely asks for."""
SELDOM = (
    fx.TagEni,
    fx.TagCreatedAt,
    fx.FindNodelessEnis,
    fx.DetachEni,
    fx.DeleteEni,
    fx.UnassignPrivateIps,
    fx.UnassignPrefixes,
    fx.AssignPrefixes,
    fx.ForgetAssignments,
    fx.ReadEniConfig,
    fx.ReadCheckpoint,
)


class Faulty:
    """An instance whose effects go wrong at random, seeded; `met` counts how each did."""

    def __init__(self, instance, seed):
        self.instance = instance
        self.chance = random.Random(f"{seed}/faults")
        self.on = True
        self.met = Counter()

    def perform(self, effect):
        share = SHARE_OF_SELDOM if isinstance(effect, SELDOM) else SHARE
        if not self.on or self.chance.random() >= share:
            return self._missing(effect, self.instance.perform(effect))
        how = self.chance.choice(HOWS)
        self.met[type(effect).__name__, how] += 1
        if how == "fails":
            raise self._error(effect)
        reply = self.instance.perform(effect)
        if how == "lost":
            raise UnreachableError(effect.api or type(effect).__name__, "Timeout")
        # The second time is the one that is answered, be it with an error.
        return self.instance.perform(effect) or reply

    def _error(self, effect):
        if isinstance(effect, OF_THE_CHECKPOINT) and self.chance.random() < 0.5:
            return CheckpointWriteError("ipam.db", "full")
        return error_for(effect.api or type(effect).__name__, self.chance.choice(CODES), "")

    def _missing(self, effect, reply):
        """Leave an ENI out of what metadata shows, every second time."""
        if not (isinstance(effect, fx.ReadAttachedEnis) and self.on and reply):
            return reply
        if self.chance.random() >= SHARE_OF_SELDOM:
            return reply
        self.met["ReadAttachedEnis", "lacks an ENI"] += 1
        left_out = self.chance.choice(reply)
        return tuple(eni for eni in reply if eni is not left_out)


def faulty_scenario(seed):
    """Return a scenario of any settings, its last restart left out for every second seed."""
    raw = random_scenario(seed)
    rng = random.Random(f"{seed}/more settings")
    if rng.random() < 0.2:
        raw["env"]["AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"] = "true"
        toggles = [step["env"] for step in raw["steps"] if "env" in step]
        for env in (raw["env"], *toggles):
            env.pop("MAX_ENI", None)  # 1 leaves no ENI for pods
        for env in toggles:  # an agent whose ENIs are full of the other mode does not start
            env.pop("ENABLE_PREFIX_DELEGATION", None)
    if seed % 2:
        raw["steps"] = [step for step in raw["steps"] if step.get("label") != "end"]
    return {**raw, "id": f"faulty-{seed}"}


class FaultyPlayer(CheckedPlayer):
    """Plays a faulty scenario, and knows the address that each pod was given."""

    def __init__(self, seed, policy):
        raw = faulty_scenario(seed)
        self.n_end = len(END) - seed % 2
        self.given: dict[str, str] = {}
        super().__init__(scenario_of(raw), policy=policy, seed=seed, record=False)
        self.cloud = Faulty(self.instance, seed)
        del self.region.enis["eni-primary"].tags[NODE_TAG]
        leaked = self.region.create_eni(PRIMARY_SUBNET)
        leaked.description = DESCRIPTION_PREFIX
        leaked.tags[NODE_TAG] = "i-gone"

    def start(self):
        """Start the agent; the kubelet starts one that ends again."""
        super().start()
        for _ in range(20):
            if self.init_error is None:
                return
            self.node = self._new_node()
            super().start()

    def _drive(self, step):
        result = drive(step, self.cloud, sleep=self._sleep)
        for store in self.node.stores:
            store._check()
        return result

    def check_pool(self):
        """Make each pool check: what it reads may fail, too, where it changes nothing."""
        self._drive(self.node.adjust())

    def _ask(self, pod):
        served = super()._ask(pod)
        if served:
            found = (store.find(pod.sandbox) for store in self.node.stores)
            address = next(held.address for held in found if held is not None)
            assert self.given.setdefault(pod.name, address) == address
        return served

    def play_checked(self):
        n_left = len(self.scenario.steps)
        for _ in self.steps():
            n_left -= 1
            self.cloud.on = n_left > self.n_end
            self.check_invariants()
            self.check_given()
            if n_left % 4 == 0:
                self._drive(self.node.clean_leaked(self.region.wall_time().timestamp()))
            if n_left == 1 and not self.node.ready:  # all is healed: the kubelet starts it again
                self.restart(ScenarioStep(op="restart"))
        self.check_end()

    def check_end(self):
        """Let the agent act on a reconcile, which its failing to grow may hold off for ever.

        PrivateIpAddressLimitExceeded counts as growing, so that none comes (`vpc-cni`).
        """
        if self.policy == VPC_CNI and self.waiting:
            self.now_ns += 61 * 10**9
            self._drive(self.node.reconcile())
            for _ in range(12):
                self._pool_step()
        super().check_end()

    def check_given(self):
        """Assert that nobody has the address of a running pod while it is attached.

        `vpc-cni` forgets pods that metadata does not show; the better rules do not.
        """
        attached = {
            address
            for eni in self.instance.attached()
            for address in (*eni.addresses, *eni.prefixes)
        }
        for pod in self.running:
            address = self.given.get(pod.name)
            if address is not None and not {address, _around(address)} & attached:
                del self.given[pod.name]  # it went with its ENI
        if self.policy == VPC_CNI or not self.node.ready:
            return
        holders = {a.address: a.sandbox for store in self.node.stores for a in store.assignments()}
        for pod in self.running:
            holder = holders.get(self.given.get(pod.name), pod.sandbox)
            assert holder == pod.sandbox, f"the address of running {pod.name} is given to {holder}"


def _around(address):
    base, _, last = address.rpartition(".")
    return f"{base}.{int(last) // 16 * 16}/28"


def goes_wrong(seed, policy, met=None):
    """Play a faulty scenario; return what went wrong, None if nothing did."""
    player = FaultyPlayer(seed, policy)
    try:
        player.play_checked()
    except AssertionError as error:
        return f"faulty scenario {seed} under {policy.name}: {error}"
    finally:
        if met is not None:
            met.update(player.cloud.met)
    return None
