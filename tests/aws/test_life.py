"""One node life on the simulated cloud and on moto: the same calls, the same ends."""

from __future__ import annotations

import pytest

from ipam_core import IPAM_CORE, VPC_CNI, Node, Sandbox, Settings, drive
from ipam_core import effects as fx
from ipam_core.cloud.region import SimulatedRegion
from ipam_core.cloud.simulated import SimulatedInstance
from ipam_core.cloud.subnets import CountedSubnet
from ipam_core.errors import PoolExhaustedError
from ipam_core.instances import limits
from support.clock import Clock

TYPE = limits("m5.xlarge")  # 4 ENIs, 14 secondary addresses each
SETTINGS = Settings(warm_ip_target=3, minimum_ip_target=8)
SEED = 6
"""Under this one the agent comes to free an ENI."""


class Simulated:
    """The simulated cloud, with what the life needs next to effects."""

    def __init__(self):
        self.region = SimulatedRegion({"primary": CountedSubnet("10.0.0.0/18")})
        self.calls = []
        self.cloud = SimulatedInstance(
            self.region,
            enis_per_card=TYPE.enis_per_network_card,
            slots=TYPE.slots,
            on_call=lambda call: self.calls.append(call.api),
        )
        self.cloud.attach(self.region.create_eni("primary"), 0)

    def keep(self, entries):
        self.cloud.checkpoint = entries

    def detach(self, device_number):
        (eni,) = [e for e in self.cloud.attached() if e.device_number == device_number]
        self.region.detach(eni)

    def truth(self):
        """Return the addresses of each attached ENI by device, and how many ENIs are not."""
        enis = self.region.enis.values()
        attached = {e.device_number: len(e.addresses) for e in self.cloud.attached()}
        return attached, sum(e.instance_id is None for e in enis)


class OnMoto:
    """The same on moto, metadata by IMDSv2."""

    def __init__(self, world):
        self.world = world
        self.entries = ()
        self.cloud = world.cloud(checkpoint=self)

    @property
    def calls(self):
        return [request["Action"] for request in self.world.proxy.requests]

    def perform(self, effect):
        return tuple(self.entries) if isinstance(effect, fx.ReadCheckpoint) else None

    def keep(self, entries):
        self.entries = entries

    def detach(self, device_number):
        for eni in self.world.enis().values():
            if eni.get("Attachment", {}).get("DeviceIndex") == device_number:
                attachment_id = eni["Attachment"]["AttachmentId"]
                self.world.direct.detach_network_interface(AttachmentId=attachment_id)

    def truth(self):
        enis = self.world.enis().values()
        attached = {
            e["Attachment"]["DeviceIndex"]: len(e["PrivateIpAddresses"]) - 1
            for e in enis
            if e["Status"] == "in-use"
        }
        return dict(sorted(attached.items())), sum(e["Status"] == "available" for e in enis)


class Life:
    """A node on one of the two, and the story of what became of it."""

    def __init__(self, on, policy):
        self.on = on
        self.policy = policy
        self.clock = Clock()
        self.story = []
        self.node = self.new_node()

    def new_node(self):
        return Node(TYPE, SETTINGS, policy=self.policy, max_pods=58, clock_ns=self.clock, seed=SEED)

    def do(self, step):
        return drive(step, self.on.cloud, sleep=self.clock.sleep)

    def run(self, seconds):
        """Look and reconcile for so long, as the agent's loop does."""
        end_s = self.clock.now_s + seconds
        while self.clock.now_s < end_s:
            self.clock.sleep(2.5)
            self.do(self.node.adjust())
            self.clock.sleep(2.5)
            self.do(self.node.reconcile())

    def tell(self, what):
        store = self.node.store
        store._check()
        pods = {eni.device_number: store.eni_stats(eni.eni_id).assigned for eni in store.enis()}
        stats = store.stats(self.clock())
        self.story.append((what, *self.on.truth(), pods, stats.total, stats.assigned))

    def live(self):
        self.do(self.node.start())
        self.tell("started")
        for number in range(30):
            try:
                self.node.add_pod(Sandbox(f"c{number}"), f"default/pod-{number}")
            except PoolExhaustedError:
                self.run(5)
                self.node.add_pod(Sandbox(f"c{number}"), f"default/pod-{number}")
        self.run(30)
        self.tell("30 pods")
        gone = [a for a in self.node.store.assignments() if a.device_number == 2][:9]
        gone += [a for a in self.node.store.assignments() if a.device_number == 1][3:]
        for assignment in gone:
            self.node.remove_pod(assignment.sandbox)
        self.run(180)
        self.tell("shrunk, an ENI freed")
        held = list(self.node.store.assignments())
        self.on.keep(
            [
                fx.CheckpointEntry(
                    container_id=a.sandbox.container_id,
                    ifname=a.sandbox.ifname,
                    network=a.sandbox.network,
                    address=a.address,
                    pod=a.pod,
                )
                for a in held
            ]
        )
        self.node = self.new_node()
        self.do(self.node.start())
        assert {a.address: a.pod for a in self.node.store.assignments()} == {
            a.address: a.pod for a in held
        }
        self.tell("restarted")
        self.on.detach(1)
        self.run(70)
        self.tell("reconciled")
        self.run(60)
        cleanup = self.do(self.node.clean_leaked(4e9))
        self.tell(f"{len(cleanup.deleted)} leaked ENI deleted")
        return self.story


@pytest.mark.parametrize(
    ("policy", "n_attached"),
    [(VPC_CNI, [1, 3, 2, 2, 2, 2]), (IPAM_CORE, [1, 3, 3, 3, 2, 2])],
    ids=["vpc-cni", "ipam-core"],
)
def test_a_life_ends_the_same_on_the_simulated_and_on_the_moto_cloud(world, policy, n_attached):
    simulated, moto = Simulated(), OnMoto(world)
    story = Life(simulated, policy).live()
    assert Life(moto, policy).live() == story
    assert moto.calls == simulated.calls
    assert [len(attached) for _, attached, *_ in story] == n_attached
    assert [unattached for _, _, unattached, *_ in story] == [0, 0, 0, 0, 1, 0]
