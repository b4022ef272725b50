"""The host's network as the kernel has it, in namespaces that the test makes."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from pyroute2.netns import setns

from ipam_core.cloud.host import HostNetwork, HostSettings, Recorder
from ipam_core.cloud.host.netlink import NetlinkHost
from ipam_core.cloud.host.operations import (
    AddAddress,
    AddRule,
    BringUp,
    PutRoute,
    RemoveAddress,
    RemoveRule,
    Rule,
)
from ipam_core.effects import AttachedEni, SetUpEni, SetUpHost, SetUpPodRules, TearDownEni
from ipam_core.errors import HostNetworkError
from support.namespaces import add_link, ip, ip_json, namespace, state

PRIMARY = AttachedEni(eni_id="eni-0", device_number=0, mac="02:00:00:00:00:0a")
SECOND = AttachedEni(
    eni_id="eni-1",
    device_number=1,
    mac="02:00:00:00:00:0b",
    primary_address="10.0.16.9",
    subnet_cidr="10.0.16.0/20",
)
SETTINGS = HostSettings(mtu=1400, service_cidrs=("10.9.0.0/16",))
STEPS = (
    SetUpHost(PRIMARY),
    SetUpEni(SECOND, 2),
    SetUpPodRules((("10.0.16.30", 2), ("10.0.16.31", 2))),
)


@pytest.fixture
def netns():
    with namespace() as name:
        add_link(name, "eth0", PRIMARY.mac)
        add_link(name, "eth1", SECOND.mac)
        yield name


def perform(netns, *effects):
    """Perform effects in a namespace, as an agent there does.

    With its name alone each socket would take a process: a copy of all that the tests loaded.
    """

    def in_there():
        setns(netns)  # of this thread alone
        perform_on(NetlinkHost(), *effects)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(in_there).result()


def perform_on(host, *effects):
    network = HostNetwork(None, host, SETTINGS)
    for effect in effects:
        network.perform(effect)


def rules(netns):
    """Return the rules that are not the kernel's own."""
    return [
        rule for rule in ip_json("-4", "rule", netns=netns)
        if rule["priority"] not in (0, 32766, 32767)
    ]  # fmt: skip


def test_an_eni_gets_its_link_its_address_and_a_table_of_its_own(netns):
    perform_on(NetlinkHost(netns), *STEPS)
    (link,) = ip_json("address", "show", "dev", "eth1", netns=netns)
    held = [(each["local"], each["prefixlen"]) for each in link["addr_info"]
            if each["family"] == "inet"]  # fmt: skip
    assert (link["mtu"], "UP" in link["flags"], held) == (1400, True, [("10.0.16.9", 20)])
    table = ip_json("route", "show", "table", "2", netns=netns)
    assert {(each["dst"], each.get("gateway"), each["dev"]) for each in table} == {
        ("10.0.16.1", None, "eth1"),
        ("default", "10.0.16.1", "eth1"),
    }
    assert ip_json("route", "show", "table", "main", netns=netns) == []
    (primary,) = ip_json("link", "show", "dev", "eth0", netns=netns)
    assert primary["mtu"] == 1400
    assert rules(netns) == [
        {"priority": 1024, "src": "all", "fwmark": "0x80", "fwmask": "0x80", "table": "main"},
        {"priority": 1535, "src": "all", "dst": "10.9.0.0", "dstlen": 16, "table": "main"},
        {"priority": 1536, "src": "10.0.16.30", "table": "2"},
        {"priority": 1536, "src": "10.0.16.31", "table": "2"},
        {"priority": 32765, "src": "10.0.16.9", "table": "2"},
    ]


def test_the_recorded_commands_lead_to_the_same_host(netns):
    """What --host-network=record shows is what the other mode does."""
    perform(netns, *STEPS)
    recorder = Recorder()
    network = HostNetwork(None, recorder, SETTINGS)
    for effect in STEPS:
        network.perform(effect)
    with namespace() as other:
        add_link(other, "eth0", PRIMARY.mac)
        add_link(other, "eth1", SECOND.mac)
        ip("-batch", "-", netns=other, text="\n".join(map(str, recorder.operations)) + "\n")
        assert state(other) == state(netns)


def test_the_same_again_leaves_the_host_as_it_is(netns):
    perform(netns, *STEPS)
    before = state(netns)
    perform(netns, *STEPS, *reversed(STEPS))
    assert state(netns) == before


def test_what_was_there_before_is_put_right(netns):
    """A link with another address, a pod rule of an old release, an ENI that had device 4."""
    ip("link", "set", "eth1", "up", netns=netns)
    ip("address", "add", "10.0.99.9/20", "dev", "eth1", netns=netns)
    ip("rule", "add", "from", "10.0.16.30", "to", "10.0.0.0/16", "lookup", "5",
       "priority", "1536", netns=netns)  # fmt: skip
    ip("rule", "add", "from", "10.0.16.9", "lookup", "5", "priority", "32765", netns=netns)
    ip("route", "add", "default", "dev", "eth1", "table", "2", netns=netns)
    perform(netns, *STEPS)
    with namespace() as fresh:
        add_link(fresh, "eth0", PRIMARY.mac)
        add_link(fresh, "eth1", SECOND.mac)
        perform(fresh, *STEPS)
        assert state(netns) == state(fresh)


def test_rules_of_others_stay(netns):
    ip("rule", "add", "from", "10.0.16.77", "lookup", "7", "priority", "1536", netns=netns)
    ip("rule", "add", "from", "10.0.16.9", "iif", "eth0", "lookup", "9", "priority", "50",
       netns=netns)  # fmt: skip
    theirs = rules(netns)
    perform(netns, *STEPS, TearDownEni("eni-1", SECOND.primary_address))
    assert all(rule in rules(netns) for rule in theirs)


def test_an_eni_that_is_gone_leaves_no_rule_and_its_pods_theirs(netns):
    perform(netns, *STEPS)
    ip("link", "del", "eth1", netns=netns)
    perform(netns, TearDownEni("eni-1", SECOND.primary_address))
    assert [rule["priority"] for rule in rules(netns)] == [1024, 1535, 1536, 1536]
    assert ip_json("route", "show", "table", "2", netns=netns) == []
    perform(netns, TearDownEni("eni-1", SECOND.primary_address))


def test_an_eni_without_a_link_is_an_error_and_changes_nothing(netns):
    before = state(netns)
    lost = AttachedEni(
        eni_id="eni-7",
        device_number=2,
        mac="02:00:00:00:00:ff",
        primary_address="10.0.16.50",
        subnet_cidr="10.0.16.0/20",
    )
    with pytest.raises(HostNetworkError, match="eni-7: no link has the MAC address '02:00:00"):
        perform(netns, SetUpEni(lost, 3))
    assert state(netns) == before


def test_what_the_kernel_refuses_is_named(netns):
    host = NetlinkHost(netns)
    with pytest.raises(OSError, match="ENODEV"):
        host.apply(BringUp("eth9"))
    with pytest.raises(OSError, match="ENETUNREACH"):
        host.apply(PutRoute(2, "default", "eth1", "10.0.16.1"))
    network = HostNetwork(None, host, HostSettings(mtu=70_000))
    with pytest.raises(HostNetworkError, match=r"SetUpHost: EINVAL: eni-0: .*mtu 70000"):
        network.perform(SetUpHost(PRIMARY))


def test_what_is_there_or_gone_already_is_fine(netns):
    host, rule = NetlinkHost(netns), Rule(priority=1536, table=2, source="10.0.16.30/32")
    for operation in (AddRule(rule), AddAddress("eth1", "10.0.16.9/20")):
        host.apply(operation)
        host.apply(operation)
    for operation in (RemoveRule(rule), RemoveAddress("eth1", "10.0.16.9/20")):
        host.apply(operation)
        host.apply(operation)
    assert rules(netns) == []
