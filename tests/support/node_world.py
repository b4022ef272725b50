"""A node in a simulated region, for tests that drive its steps effect by effect."""

from __future__ import annotations

from ipam_core._store import Sandbox
from ipam_core.cloud import drive
from ipam_core.cloud.region import PRIMARY_SUBNET, SimulatedRegion
from ipam_core.cloud.simulated import SimulatedInstance
from ipam_core.cloud.subnets import CountedSubnet
from ipam_core.errors import (
    IpamError,
    NotReadyError,
    PoolExhaustedError,
    UnknownSandboxError,
)
from ipam_core.instances import limits
from ipam_core.node import Node
from ipam_core.policy import VPC_CNI
from ipam_core.settings import Settings

SECOND = 1_000_000_000


class World:
    """One instance, its node and its pods; time stands still unless told to pass."""

    def __init__(
        self,
        instance_type="c5.large",
        *,
        seed=0,
        policy=VPC_CNI,
        max_pods=110,
        host_network=False,
        **env,
    ):
        self.now_ns = 10**6 * SECOND
        self.limits = limits(instance_type)
        self.subnet = CountedSubnet("10.0.0.0/12")
        subnets = {PRIMARY_SUBNET: self.subnet, "eniconfig": CountedSubnet("10.16.0.0/12")}
        self.region = SimulatedRegion(subnets)
        self.instance = SimulatedInstance(
            self.region, enis_per_card=(self.limits.max_enis,), slots=self.limits.slots
        )
        self.instance.attach(self.region.place_eni("eni-primary", PRIMARY_SUBNET), 0)
        self.policy, self.seed, self.max_pods, self.env = policy, seed, max_pods, env
        self.host_network = host_network
        self.pods: dict[Sandbox, str | None] = {}
        self.n_pods = 0
        self.node = self.new_node()

    def new_node(self):
        return Node(
            self.limits,
            Settings.from_env(self.env),
            policy=self.policy,
            max_pods=self.max_pods,
            clock_ns=lambda: self.now_ns,
            seed=self.seed,
            host_network=self.host_network,
        )

    def drive(self, step):
        return drive(step, self.instance, sleep=self.sleep)

    def sleep(self, seconds):
        self.now_ns += round(seconds * SECOND)

    def settle(self, steps=20):
        for _ in range(steps):
            self.sleep(2.5)
            self.drive(self.node.adjust())
            self.try_waiting()
            self.sleep(2.5)
            self.drive(self.node.reconcile())

    # --- pods -----------------------------------------------------------------------

    def add_pod(self):
        self.n_pods += 1
        sandbox = Sandbox(f"pod-{self.n_pods}")
        self.pods[sandbox] = None
        self.ask(sandbox)
        return sandbox

    def ask(self, sandbox):
        try:
            self.pods[sandbox] = self.node.add_pod(sandbox, f"default/{sandbox}").address
        except (PoolExhaustedError, NotReadyError):
            self.pods[sandbox] = None

    def try_waiting(self):
        for sandbox, address in self.pods.items():
            if address is None:
                self.ask(sandbox)

    def remove_pod(self, newest=True):
        if not self.pods or not self.node.ready:
            return False  # the kubelet's call is refused, and comes again
        sandbox = (list(self.pods)[-1]) if newest else next(iter(self.pods))
        del self.pods[sandbox]
        try:
            released = self.node.remove_pod(sandbox)
        except UnknownSandboxError:
            return True
        self.drive(self.node.drain(released))
        return True

    # --- from outside -----------------------------------------------------------------

    def detach_behind_its_back(self):
        """Let the newest secondary ENI vanish; its pods lose their addresses."""
        enis = [eni for eni in self.instance.attached() if eni.device_number]
        if enis:
            self.region.delete_eni(enis[-1].eni_id)

    def check(self):
        """Assert what must hold at any moment, whatever happens meanwhile."""
        for store in self.node.stores:
            store._check()
        held = [a for store in self.node.stores for a in store.assignments()]
        addresses = [assignment.address for assignment in held]
        assert len(set(addresses)) == len(addresses), "an address is held twice"
        known = {assignment.sandbox: assignment.address for assignment in held}
        for sandbox, address in known.items():
            assert sandbox in self.pods, "an address is held by a pod that is gone"
            assert self.pods[sandbox] == address, "a pod's address changed"

    def check_settled(self):
        """Assert what must hold once the node has had time to reconcile."""
        self.check()
        in_store = {
            eni.eni_id: (set(store.addresses(eni.eni_id)), set(store.prefixes(eni.eni_id)))
            for store in self.node.stores
            for eni in store.enis()
        }
        in_cloud = {
            eni.eni_id: (set(eni.addresses), set(eni.prefixes)) for eni in self.instance.attached()
        }
        assert in_store == in_cloud, "the store and EC2 disagree"
        loose = [eni.eni_id for eni in self.region.enis.values() if eni.instance_id is None]
        assert loose == [], "an ENI was leaked"


def replay(world, make_step, at, act):
    """Drive a step; before performing effect number `at`, let something happen.

    Returns how many effects the step had. Errors of the cloud go into the step; what a
    start raises is its own answer.
    """
    step = make_step()
    n = 0
    try:
        effect = next(step)
        while True:
            if n == at:
                act()
                world.check()
            n += 1
            try:
                reply = drive(iter_once(effect), world.instance, sleep=world.sleep)
            except IpamError as error:
                effect = step.throw(error)
            else:
                effect = step.send(reply)
            world.check()
    except StopIteration:
        return n


def iter_once(effect):
    """Return a step of a single effect, whose reply is its result."""
    return (yield effect)


class Failing:
    """The world's instance; effects of one kind fail while `fails` says so."""

    def __init__(self, instance):
        self.instance = instance
        self.fails = {}
        self.performed = []

    def perform(self, effect):
        self.performed.append(effect)
        error = self.fails.get(type(effect))
        if error is not None:
            raise error
        return self.instance.perform(effect)
