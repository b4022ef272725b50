"""A dry run on the simulated cloud: it makes the calls of the real look, and changes nothing."""

from __future__ import annotations

from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st

from ipam_core import IPAM_CORE, VPC_CNI, Node, Sandbox, Settings, drive
from ipam_core import effects as fx
from ipam_core.cloud.dry_run import QUESTIONS, DryRun
from ipam_core.cloud.region import SimulatedRegion
from ipam_core.cloud.simulated import SimulatedInstance
from ipam_core.cloud.subnets import CountedSubnet
from ipam_core.errors import PoolExhaustedError
from ipam_core.instances import limits

TYPE = limits("m5.xlarge")
SETTINGS = st.builds(
    Settings,
    warm_eni_target=st.integers(0, 2),
    warm_ip_target=st.integers(0, 20),
    minimum_ip_target=st.integers(0, 40),
    warm_prefix_target=st.integers(0, 2),
    enable_prefix_delegation=st.booleans(),
)
HELD = st.one_of(
    st.tuples(st.integers(0, 10), st.integers(0, 4)),
    st.sampled_from([(TYPE.slots, 0), (0, TYPE.slots), (10, 4)]),  # full: the next is a new ENI
)
ENIS = st.lists(HELD, min_size=1, max_size=4)


class Noted:
    """A cloud that notes the EC2 calls that it passes on."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.calls = []

    def perform(self, effect):
        if effect.api is not None:
            self.calls.append(effect)
        return self.cloud.perform(effect)


def look(cloud, settings, policy, n_pods):
    """Take over what is there, let it grow old, and look once."""
    now_s = 0
    node = Node(TYPE, settings, policy=policy, clock_ns=lambda: now_s * 1_000_000_000)
    drive(node.reconcile(), cloud)
    node.ready = True
    for number in range(n_pods):
        try:
            node.add_pod(Sandbox(f"pod-{number}"))
        except PoolExhaustedError:
            continue
    now_s = 600
    drive(node.adjust(), cloud, sleep=lambda _: None)
    assert node.last_error is None
    return node


@given(
    settings=SETTINGS,
    enis=ENIS,
    policy=st.sampled_from([VPC_CNI, IPAM_CORE]),
    n_pods=st.integers(0, 60),
)
def test_the_calls_of_a_dry_look_are_those_of_a_real_one(settings, enis, policy, n_pods):
    region = SimulatedRegion({"primary": CountedSubnet("10.0.0.0/16")})
    instance = SimulatedInstance(region, enis_per_card=TYPE.enis_per_network_card, slots=TYPE.slots)
    for device, (n_addresses, n_prefixes) in enumerate(enis):
        eni = region.create_eni("primary", n_addresses=n_addresses, n_prefixes=n_prefixes)
        instance.attach(eni, device)
    before = deepcopy(region.enis)
    dry = DryRun(instance)
    planned = look(dry, settings, policy, n_pods)
    assert region.enis == before
    real = Noted(instance)
    looked = look(real, settings, policy, n_pods)
    assert [effect.api for effect in dry.calls] == [effect.api for effect in real.calls]
    assert [getattr(e, "count", None) for e in dry.calls] == [
        getattr(e, "count", None) for e in real.calls
    ]
    assert planned.store.stats(0) == looked.store.stats(0)
    planned.store._check()


def test_every_read_is_asked_of_the_cloud():
    reads = {
        effect
        for effect in vars(fx).values()
        if isinstance(effect, type) and issubclass(effect, fx.Effect)
        if effect.__name__.startswith(("Read", "Describe", "Find"))
    }
    assert reads == {*QUESTIONS, fx.ReadAttachedEnis}
