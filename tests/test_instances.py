"""Instance limits: the table, its look-up, and the command that shows it."""

import dataclasses
import json
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam_core import instances
from ipam_core.cli._app import run
from ipam_core.errors import InputError, UnknownInstanceTypeError
from ipam_core.settings import Settings

# ENIs, IPv4 per ENI, pods with secondary IPs, maxPods: from AWS's documents (EC2 user guide, "IP
# addresses per network interface"; awslabs/amazon-eks-ami's eni-max-pods.txt; issue 2650).
DOCUMENTED = {
    "t3.small": (3, 4, 9, 11),
    "c5.large": (3, 10, 27, 29),
    "m5.large": (3, 10, 27, 29),
    "m4.4xlarge": (8, 30, 232, 234),
    "m8g.4xlarge": (8, 30, 232, 234),
    "p3dn.24xlarge": (15, 50, 735, 737),
}


@pytest.mark.parametrize(("name", "expected"), DOCUMENTED.items())
def test_documented_types(name, expected):
    found = instances.limits(name)
    assert found.instance_type == name
    assert (
        found.max_enis,
        found.ipv4_per_eni,
        found.max_addresses,
        found.usual_max_pods,
    ) == expected
    assert found.max_addresses_prefix == 16 * expected[2]


def test_every_type_of_the_table():
    names = instances.names()
    assert len(names) == len(set(names)) == 1447
    assert list(names) == sorted(names)
    for name in names:
        found = instances.limits(name)
        assert found.instance_type == name
        assert found.slots == found.ipv4_per_eni - 1 <= 63  # one 64-bit word in the store
        assert found.usual_max_pods == found.max_pods  # computed here, published there
        assert found.max_enis == found.enis_per_network_card[found.default_network_card]
        assert found.hypervisor in {"nitro", "xen", "unknown"}
        assert found.vcpus is None or 1 <= found.vcpus <= 896 * 2


UNPUBLISHED_VCPUS = {"bmn-sf1.metal", "c5a.metal", "c5ad.metal", "cr1.8xlarge", "hs1.8xlarge"}


def test_vcpus_are_known_but_of_types_that_nobody_can_start():
    unknown = {name for name in instances.names() if instances.limits(name).vcpus is None}
    assert unknown == UNPUBLISHED_VCPUS


# Nitro types that cannot carry a trunk ENI: limits.go of aws/amazon-vpc-resource-controller-k8s
# at b8d4251 (2026-03), `IsTrunkingCompatible: false`.
NO_TRUNK = {
    *(f"t3.{size}" for size in ["nano", "micro", "small", "medium", "large", "xlarge", "2xlarge"]),
    *(f"t3a.{size}" for size in ["nano", "micro", "small", "medium", "large", "xlarge", "2xlarge"]),
    *(f"t4g.{size}" for size in ["nano", "micro", "small", "medium", "large", "xlarge", "2xlarge"]),
    *("i4i.large", "u-6tb1.56xlarge", "u-6tb1.112xlarge"),
}


def test_trunks_are_by_the_resource_controllers_table_not_by_nitro():
    nitro = {name for name in instances.names() if instances.limits(name).nitro}
    assert {name for name in nitro if not instances.limits(name).trunking} == NO_TRUNK
    assert not instances.limits("m4.large").trunking


@pytest.mark.parametrize(
    ("name", "vcpus", "cards", "pods"),
    [
        ("c7g-flex.large", 2, (3,), 29),
        ("m7g-flex.8xlarge", 32, (8,), 234),
        ("c8g-flex.xlarge", 4, (4,), 58),
        ("m8g-flex.16xlarge", 64, (15,), 737),
        ("i3.metal", 72, (15,), 737),
        ("r9g.large", 2, (3,), 59),
        ("i7ie.48xlarge", 192, (8, 7), 394),
        ("i8ge.48xlarge", 192, (12, 12), 590),
        ("i8ge.metal-48xl", 192, (12, 12), 590),
        ("i7ie.24xlarge", 96, (15,), 737),
    ],
)
def test_types_and_cards_that_the_agents_table_lacks(name, vcpus, cards, pods):
    found = instances.limits(name)
    assert (found.vcpus, found.enis_per_network_card) == (vcpus, cards)
    assert found.max_pods == found.usual_max_pods == pods


# --- maxPods ----------------------------------------------------------------------------

PREFIX = Settings(enable_prefix_delegation=True)
CUSTOM = Settings(custom_networking=True)


@pytest.mark.parametrize(
    ("name", "settings", "value", "calculated"),
    [
        # The EKS user guide: m5.large 29; 110 with prefixes; 20 under custom networking.
        ("m5.large", Settings(), 29, 29),
        ("m5.large", PREFIX, 110, 110),
        ("m5.large", CUSTOM, 29, 20),
        # vCPUs: 110 up to 30, 250 above (max-pods-calculator.sh).
        ("m5.4xlarge", PREFIX, 110, 110),
        ("c5.9xlarge", PREFIX, 250, 250),
        ("m5.24xlarge", PREFIX, 250, 250),
        ("m5.24xlarge", Settings(), 737, 250),
        ("m8g.4xlarge", Settings(), 234, 110),
        # A node that holds fewer is given what it holds: 2 ENIs of one /28, and 2.
        ("t3.nano", PREFIX, 34, 34),
        ("t3.small", replace(PREFIX, custom_networking=True), 98, 98),
        ("t3.small", replace(PREFIX, max_eni=1), 50, 50),
        # Issues 2892 and 3238 of the agent: m5.xlarge had 58, 44 is right.
        ("m5.xlarge", CUSTOM, 58, 44),
        ("m5.xlarge", Settings(enable_pod_eni=True), 58, 44),
        ("m5.xlarge", Settings(max_eni=2), 58, 30),
        ("t3.xlarge", Settings(enable_pod_eni=True), 58, 58),
        # No prefixes there: as with secondary IPs.
        ("m4.large", PREFIX, 20, 20),
        ("m5.large", Settings(enable_ipv4=False, enable_ipv6=True), 110, 110),
    ],
)
def test_max_pods_by_type_and_settings(name, settings, value, calculated):
    found = instances.max_pods(instances.limits(name), settings)
    assert (found.value, found.calculated) == (value, calculated)


def test_max_pods_says_which_rule_it_took():
    def rule(name, settings):
        return instances.max_pods(instances.limits(name), settings).rule

    assert rule("m5.large", Settings()) == "AWS's number for the type with secondary IPs"
    assert rule("m5.large", PREFIX) == "AWS's max-pods calculator for 2 vCPUs"
    assert rule("t3.nano", PREFIX) == "AWS's max-pods calculator: every address, and 2"
    assert "not known" in rule("c5a.metal", PREFIX)


def test_max_pods_without_settings_is_that_of_an_agent_with_none():
    for name in ("m5.large", "t3.nano", "p5.48xlarge"):
        limits = instances.limits(name)
        assert instances.max_pods(limits) == instances.max_pods(limits, Settings())


def calculator(limits, settings):
    """max-pods-calculator.sh of awslabs/amazon-eks-ami, line for line in this language."""
    enis = min(limits.max_enis, settings.max_eni or limits.max_enis)
    if settings.custom_networking:
        enis -= 1
    per_eni = limits.ipv4_per_eni - 1
    if settings.enable_prefix_delegation and (limits.hypervisor == "nitro" or limits.bare_metal):
        per_eni *= 16
    return min(enis * per_eni + 2, 250 if limits.vcpus > 30 else 110)


@given(
    st.sampled_from(sorted(set(instances.names()) - UNPUBLISHED_VCPUS)),
    st.booleans(),
    st.booleans(),
    st.none() | st.integers(1, 16),
)
def test_max_pods_is_what_the_calculator_answers(name, prefixes, custom, max_eni):
    settings = Settings(
        enable_prefix_delegation=prefixes, custom_networking=custom, max_eni=max_eni
    )
    limits = instances.limits(name)
    assert instances.max_pods(limits, settings).calculated == calculator(limits, settings)


def test_cards_of_a_type_with_several():
    assert instances.limits("c6in.32xlarge").enis_per_network_card == (8, 8)
    assert instances.limits("m8g.4xlarge").enis_per_network_card == (8,)


@pytest.mark.parametrize(
    ("name", "nitro"),
    [("m8g.4xlarge", True), ("a1.metal", True), ("t2.medium", False), ("cr1.8xlarge", False)],
)
def test_nitro_is_the_hypervisor_or_bare_metal(name, nitro):
    # a1.metal and cr1.8xlarge are both of hypervisor "unknown".
    assert instances.limits(name).nitro is nitro


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("M8G.4XLARGE", "m8g.4xlarge"),
        (" m8g.4xlarge\n", "m8g.4xlarge"),
        ("m8g.4xlarg", "m8g.4xlarge"),
        ("m8gx.4xlarge", "m8g.4xlarge"),
        ("t3 small", "t3.small"),
        ("T3 SMALL", "t3.small"),
    ],
)
def test_unknown_type_names_the_nearest(name, nearest):
    with pytest.raises(UnknownInstanceTypeError) as caught:
        instances.limits(name)
    assert caught.value.name == name
    assert caught.value.nearest[0] == nearest
    assert repr(name) in str(caught.value)
    assert nearest in str(caught.value)
    assert isinstance(caught.value, InputError)


@pytest.mark.parametrize("name", ["", "instance_type", "a1.large,3", "a1.large,3,10", "."])
def test_pieces_of_the_file_are_no_types(name):
    with pytest.raises(UnknownInstanceTypeError):
        instances.limits(name)


@given(st.sampled_from(sorted({name.partition(".")[0] for name in instances.names()})), st.text())
def test_a_known_family_is_kept_to(family, size):
    wanted = f"{family}.{size}"
    if wanted in instances.names():
        assert instances.limits(wanted).instance_type == wanted
        return
    with pytest.raises(UnknownInstanceTypeError) as caught:
        instances.limits(wanted)
    nearest = caught.value.nearest
    assert 1 <= len(nearest) <= 3
    assert set(nearest) <= set(instances.names())
    assert all(name.startswith(f"{family}.") for name in nearest)


@pytest.mark.parametrize("change", [{"max_enis": 0}, {"ipv4_per_eni": 0}, {"ipv4_per_eni": 65}])
def test_impossible_limits_are_refused(change):
    ((name, value),) = change.items()
    with pytest.raises(ValueError, match=f"{name}={value}"):
        dataclasses.replace(instances.limits("m8g.4xlarge"), **change)


def test_limits_are_values():
    found = instances.limits("m8g.4xlarge")
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.max_enis = 9
    assert not hasattr(found, "__dict__")
    assert dataclasses.replace(found, max_enis=2).max_addresses == 58


def test_importing_reads_nothing():
    code = (
        "import sys, ipam_core.instances as i, ipam_core.settings\n"
        "assert i._lines.cache_info().currsize == 0\n"
        "loaded = {'numpy', 'yaml', 'typer', 'rich', 'difflib'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_source_says_where_from_and_how_old():
    source = instances.source()
    assert source.repository == "https://github.com/aws/amazon-vpc-cni-k8s"
    assert source.agent_version == "v1.23"
    assert source.as_of == "2026-08"


# --- the command ----------------------------------------------------------------------


def test_command_shows_limits_and_source(capsys):
    assert run(["instances", "m8g.4xlarge", "t2.medium"]) == 0
    output = capsys.readouterr().out
    m8g, t2 = (line.split() for line in output.splitlines()[3:5])
    assert m8g == ["m8g.4xlarge", "16", "8", "30", "232", "3712", "234", "110"]
    assert t2 == ["t2.medium", "2", "3", "6", "15", "-", "17", "17", "xen"]
    assert "v1.23, 2026-08" in output


def test_command_lists_by_pattern_each_once_in_order(capsys):
    assert run(["instances", "m8g.xlarge", "m8g.*", "c5.larg?", "--json"]) == 0
    names = [each["instance_type"] for each in json.loads(capsys.readouterr().out)["instances"]]
    family = [name for name in instances.names() if name.startswith("m8g.")]
    family.remove("m8g.xlarge")
    assert names == ["m8g.xlarge", *family, "c5.large"]


def test_command_lists_all_within_80_columns(capsys):
    assert run(["instances"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[3:-2]] == list(instances.names())


def test_command_json_has_every_fact(capsys):
    assert run(["instances", "--json", "m8g.4xlarge", "t2.medium"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["table"]["as_of"] == "2026-08"
    m8g, t2 = found["instances"]
    assert m8g["max_addresses"] == 232
    assert m8g["max_addresses_prefix"] == 3712
    assert m8g["enis_per_network_card"] == [8]
    assert t2["max_addresses_prefix"] is None


@pytest.mark.parametrize("wanted", ["m8g.5xlarge", "zz*", ""])
def test_command_refuses_the_unknown_in_one_line(capsys, wanted):
    assert run(["instances", "m8g.4xlarge", wanted]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert repr(wanted) in captured.err
