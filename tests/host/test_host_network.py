"""What is done to the host's network, in which step, and what a failure of it does."""

import errno
import random
from contextlib import suppress

import pytest

from ipam_core import IPAM_CORE, VPC_CNI, Node, Sandbox, Settings, SimulatedCloud, drive
from ipam_core import effects as fx
from ipam_core.cloud.host import HOST_EFFECTS, HostNetwork, HostSettings, Recorder
from ipam_core.effects import AttachedEni, CheckpointEntry, SetUpEni, TearDownEni
from ipam_core.errors import (
    HostNetworkError,
    InputError,
    NotReadyError,
    PoolExhaustedError,
)
from ipam_core.node import StartError
from ipam_core.node.attach import route_table

S = 1_000_000_000


class World:
    """A node of an m5.large on a simulated cloud, with its host recorded."""

    def __init__(self, host=None, *, host_network=True, policy=VPC_CNI, **settings):
        self.now_ns = 3600 * S
        self.cloud = SimulatedCloud("m5.large", cidr="10.0.0.0/20", clock_ns=lambda: self.now_ns)
        self.recorder = host or Recorder()
        self.asked = []
        self.network = HostNetwork(self.cloud, self.recorder)
        self.node = Node(
            self.cloud.limits,
            Settings(cooldown_s=0, **settings),
            policy=policy,
            clock_ns=lambda: self.now_ns,
            host_network=host_network,
        )

    def perform(self, effect):
        self.asked.append(effect)
        return self.network.perform(effect)

    def drive(self, step):
        return drive(step, self, sleep=self.sleep)

    def asks(self, start):
        """Start, until a start succeeds or ten failed."""
        for _ in range(10):
            try:
                self.drive(start())
            except StartError:
                continue
            return

    def sleep(self, seconds):
        self.now_ns += round(seconds * S)

    def begin(self):
        """Start, and check the pool once: an m5.large with a target of 12 has two ENIs then."""
        self.drive(self.node.start())
        self.drive(self.node.adjust())

    @property
    def done(self):
        """What was done since the last question, as `ip` commands."""
        said = [str(operation) for operation in self.recorder.operations]
        self.recorder.operations.clear()
        return said


def test_a_node_that_is_not_asked_to_leaves_the_host_alone():
    world = World(host_network=False, warm_ip_target=12)
    world.begin()
    assert len(world.node.store.enis()) == 2
    assert world.done == []
    assert not any(isinstance(effect, HOST_EFFECTS) for effect in world.asked)


def test_the_start_prepares_the_host_and_a_new_eni_its_own_table():
    world = World(warm_ip_target=12)
    world.begin()
    primary, second = world.cloud.attached()
    address = second.primary_address
    assert world.done == [
        "link set dev eth0 mtu 9001",
        "rule add priority 1024 from all fwmark 0x80/0x80 lookup 254",
        "link set dev eth1 mtu 9001",
        "link set dev eth1 up",
        f"address add {address}/20 dev eth1",
        "route replace 10.0.0.1/32 scope link dev eth1 table 2",
        "route replace default via 10.0.0.1 dev eth1 table 2",
        f"route del 10.0.0.0/20 dev eth1 src {address} scope link table 254",
        f"rule add priority 32765 from {address}/32 lookup 2",
    ]
    assert world.node.store.eni(second.eni_id).route_table == 2
    assert world.node.store.eni(primary.eni_id).route_table == 254


def test_the_host_comes_before_any_call_of_ec2_and_a_link_before_its_eni_serves_pods():
    world = World(warm_ip_target=12)
    world.begin()
    kinds = [type(effect) for effect in world.asked]
    assert kinds.index(fx.SetUpHost) < kinds.index(fx.DescribeEnis)
    (at,) = [n for n, effect in enumerate(world.asked) if isinstance(effect, SetUpEni)]
    assert world.asked[at].eni.eni_id == world.cloud.attached()[1].eni_id


def test_an_eni_that_is_freed_leaves_no_rule():
    world = World(warm_ip_target=12)
    world.begin()
    address = world.cloud.attached()[1].primary_address
    assert world.done
    world.sleep(120)
    assert world.drive(world.node.free_eni(0, 0)) is not None
    assert world.done == [f"rule del priority 32765 from {address}/32 lookup 2"]
    assert world.recorder.rules()[-1].priority == 1024


def test_an_eni_that_somebody_else_took_away_leaves_no_rule_either():
    world = World(warm_ip_target=12)
    world.begin()
    eni = world.cloud.attached()[1]
    world.cloud.region.detach(eni)
    assert world.done
    world.sleep(120)
    world.drive(world.node.reconcile())
    assert world.done == [f"rule del priority 32765 from {eni.primary_address}/32 lookup 2"]


def test_restored_pods_on_secondary_enis_get_their_rule_and_others_none():
    world = World(warm_ip_target=12)
    world.begin()
    primary, second = world.cloud.attached()
    again = World(Recorder(), warm_ip_target=12)
    again.cloud = world.cloud
    again.network = HostNetwork(world.cloud, again.recorder)
    held = (primary.addresses[0], second.addresses[0])
    world.cloud.checkpoint = [
        CheckpointEntry(container_id=f"c{n}", ifname="eth0", network="aws-cni", address=address)
        for n, address in enumerate(held)
    ]
    again.begin()
    pods = [line for line in again.done if "priority 1536" in line]
    assert pods == [f"rule add priority 1536 from {held[1]}/32 lookup 2"]
    assert again.node.store.find(Sandbox("c1", "eth0", "aws-cni")).address == held[1]


class Broken(Recorder):
    """A host whose links are not there for a while."""

    def __init__(self, times):
        super().__init__()
        self.times = times

    def find_link(self, eni):
        if eni.device_number and self.times:
            self.times -= 1
            return None
        return super().find_link(eni)


def test_a_link_that_comes_late_is_waited_for():
    world = World(Broken(times=4), warm_ip_target=12)
    start_ns = world.now_ns
    world.begin()
    assert len(world.node.store.enis()) == 2
    assert world.now_ns - start_ns >= 12 * S


def test_an_eni_whose_link_never_comes_serves_no_pod_until_a_reconcile_finds_it():
    world = World(Broken(times=5), warm_ip_target=12)
    world.begin()
    assert isinstance(world.node.last_error, HostNetworkError)
    assert [eni.primary for eni in world.node.store.enis()] == [True]
    assert len(world.cloud.attached()) == 2
    world.sleep(120)
    world.drive(world.node.reconcile())
    assert len(world.node.store.enis()) == 2
    assert any("dev eth1 up" in line for line in world.done)


class Unlucky(Recorder):
    """A host whose operations fail at random while `on`."""

    def __init__(self, seed):
        super().__init__()
        self.chance, self.on = random.Random(seed), True

    def apply(self, operation):
        if self.on and self.chance.random() < 0.3:
            raise OSError(errno.EBUSY, "EBUSY", str(operation))
        super().apply(operation)


@pytest.mark.parametrize("policy", [VPC_CNI, IPAM_CORE], ids=lambda policy: policy.name)
@pytest.mark.parametrize("seed", range(12))
def test_once_all_is_healed_each_eni_that_serves_pods_has_its_rule_and_no_other_has(seed, policy):
    world = World(Unlucky(seed), policy=policy, warm_ip_target=3)
    chance = random.Random(f"{seed}/pods")
    world.asks(world.node.start)
    pods = []
    for step in range(60):
        world.recorder.on = step < 45
        if chance.random() < 0.6 and step < 40:
            with suppress(PoolExhaustedError, NotReadyError):
                world.node.add_pod(Sandbox(f"c{step}"))
                pods.append(Sandbox(f"c{step}"))
        elif pods:
            world.node.remove_pod(pods.pop(chance.randrange(len(pods))))
        if not world.node.ready:
            world.asks(world.node.start)
        world.sleep(chance.choice((5, 70)))
        world.drive(world.node.adjust())
        world.drive(world.node.reconcile())
    world.sleep(70)
    world.drive(world.node.reconcile())
    rules = {rule.source for rule in world.recorder.rules() if rule.priority == 32765}
    enis = [eni for eni in world.cloud.attached() if eni.device_number]
    assert rules == {f"{eni.primary_address}/32" for eni in enis}
    assert {eni.eni_id for eni in enis} == set(world.node.links)
    assert len(world.node.store.enis()) == 1 + len(enis)


def test_what_metadata_does_not_say_is_an_error_that_names_the_eni():
    network = HostNetwork(None, Recorder())
    eni = AttachedEni(eni_id="eni-1", device_number=1, primary_address="10.0.0.9")
    with pytest.raises(HostNetworkError, match=r"SetUpEni: .*eni-1"):
        network.perform(SetUpEni(eni, 2))


def test_nothing_is_done_where_a_plan_fails():
    recorder = Recorder()
    eni = AttachedEni(eni_id="eni-1", device_number=1, subnet_cidr="10.0.0.0/20")
    with pytest.raises(HostNetworkError):
        HostNetwork(None, recorder).perform(SetUpEni(eni, 2))
    assert recorder.operations == []


def test_the_same_again_changes_no_rule_and_no_address():
    world = World(warm_ip_target=12)
    world.begin()
    (effect,) = [each for each in world.asked if isinstance(each, SetUpEni)]
    before = world.recorder.rules()
    assert world.done
    world.network.perform(effect)
    assert not any(line.startswith(("rule", "address")) for line in world.done)
    assert world.recorder.rules() == before
    world.network.perform(TearDownEni("eni-other", "10.0.15.15"))
    assert world.done == []


def test_a_trunk_has_no_rule_for_its_primary_address():
    recorder = Recorder()
    eni = AttachedEni(
        eni_id="eni-1", device_number=3, primary_address="10.0.0.9", subnet_cidr="10.0.0.0/24"
    )
    HostNetwork(None, recorder).perform(SetUpEni(eni, 4, trunk=True))
    assert recorder.rules() == ()
    assert "route replace default via 10.0.0.1 dev eth3 table 4" in map(str, recorder.operations)


def test_a_node_in_ipv6_mode_cannot_have_its_host_set_up():
    settings = Settings(enable_ipv4=False, enable_ipv6=True, enable_prefix_delegation=True)
    with pytest.raises(ValueError, match="IPv4"):
        Node(SimulatedCloud("m5.large").limits, settings, host_network=True)


@pytest.mark.parametrize(
    ("card", "device", "table"),
    [(0, 0, 254), (0, 1, 2), (0, 7, 8), (1, 0, 10_100), (1, 1, 10_101), (3, 2, 10_302)],
)
def test_the_route_table_is_the_real_agents(card, device, table):
    """pkg/networkutils/helper.go, CalculateRouteTableId, v1.23."""
    assert route_table(AttachedEni(eni_id="e", device_number=device, network_card=card)) == table


# --- its settings -----------------------------------------------------------------------


def test_the_settings_are_the_agents_variables():
    settings = HostSettings.from_env(
        {
            "AWS_VPC_ENI_MTU": "1500",
            "AWS_VPC_K8S_CNI_CONNMARK": "0x40",
            "AWS_VPC_CNI_NODE_PORT_SUPPORT": "F",
            "AWS_VPC_K8S_CNI_EXTERNALSNAT": "True",
            "AWS_EXTERNAL_SERVICE_CIDRS": "10.1.2.3/16, 192.168.0.0/24,,nonsense,10.9.9.9",
        }
    )
    assert settings == HostSettings(
        mtu=1500,
        mark=0x40,
        node_ports=False,
        external_snat=True,
        service_cidrs=("10.1.0.0/16", "192.168.0.0/24"),
    )


def test_what_the_agent_cannot_use_is_the_default(caplog):
    odd = {"AWS_VPC_K8S_CNI_CONNMARK": "many", "AWS_VPC_CNI_NODE_PORT_SUPPORT": "yes"}
    assert HostSettings.from_env(odd) == HostSettings()
    assert [record.args[0] for record in caplog.records] == list(odd)  # each is warned of


@pytest.mark.parametrize("text", ["575", "9002", "jumbo", "-1", "0x5dc", "1_500"])
def test_an_mtu_out_of_range_is_refused_with_what_is_allowed(text):
    with pytest.raises(InputError, match=f"AWS_VPC_ENI_MTU='{text}': an integer from 576 to 9001"):
        HostSettings.from_env({"AWS_VPC_ENI_MTU": text})


@pytest.mark.parametrize(
    ("node_ports", "external_snat", "marked"),
    [(True, True, 1), (True, False, 1), (False, False, 1), (False, True, 0)],
)
def test_marked_traffic_has_a_rule_unless_nobody_marks(node_ports, external_snat, marked):
    recorder = Recorder()
    primary = AttachedEni(eni_id="eni-0", device_number=0)
    both = HostNetwork(None, recorder, HostSettings(node_ports=True))
    both.perform(fx.SetUpHost(primary))  # an earlier life
    settings = HostSettings(node_ports=node_ports, external_snat=external_snat)
    HostNetwork(None, recorder, settings).perform(fx.SetUpHost(primary))
    assert len(recorder.rules()) == marked


def test_rules_to_services_that_were_taken_out_of_the_settings_go():
    recorder = Recorder()
    primary = AttachedEni(eni_id="eni-0", device_number=0)
    for cidrs in (("10.1.0.0/16", "10.2.0.0/16"), ("10.2.0.0/16",)):
        settings = HostSettings(service_cidrs=cidrs)
        HostNetwork(None, recorder, settings).perform(fx.SetUpHost(primary))
    assert [rule.destination for rule in recorder.rules() if rule.priority == 1535] == [
        "10.2.0.0/16"
    ]
