"""Groups of nodes in subnets: at rest, at peak and in an upgrade; and the command."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipam_core import instances
from ipam_core._subnet import Subnet
from ipam_core.cli._app import run
from ipam_core.errors import InputError
from ipam_core.settings import Settings
from ipam_core.subnet.draw import node_draws
from ipam_core.subnet.groups import AT_PEAK, AT_REST, UPGRADE, NodeGroup, plan_capacity
from support.subnet_account import account, eni, leaked, subnet, write

SECONDARY = Settings()
PREFIXES = Settings(enable_prefix_delegation=True, warm_prefix_target=1)


def group(instance_type="m5.large", count=3, *, settings=SECONDARY, subnets=("a",), pods=0,
          peak=None, surge=1, max_pods=None, name=None):  # fmt: skip
    limits = instances.limits(instance_type)
    most = max_pods or instances.max_pods(limits, settings).value
    prefix_mode = settings.enable_prefix_delegation
    draws = node_draws(limits, settings, prefix_mode=prefix_mode, max_pods=most)
    return NodeGroup(
        name=name or instance_type,
        instance_type=instance_type,
        count=count,
        subnets=subnets,
        draws=draws,
        max_pods_rule="test",
        pods=pods,
        peak_pods=draws.most_pods if peak is None else peak,
        surge=surge,
    )


def states(*groups, **subnets):
    found = plan_capacity(groups, {name: Subnet(cidr) for name, cidr in subnets.items()})
    return {state.name: state for state in found}


def test_secondary_ips_by_hand():
    """m5.large: 10 addresses idle and 20 with a pod; 30 full. A /24 has 251."""
    found = states(group(count=8), a="10.0.0.0/24")
    rest = found[AT_REST].groups["m5.large"]
    assert (rest.nodes, rest.refused, rest.pods, rest.held, rest.idle) == (8, 0, 0, 80, 72)
    assert rest.fits == 17
    peak = found[AT_PEAK].groups["m5.large"]
    assert (peak.pods, peak.unserved, peak.held, peak.idle, peak.fits) == (216, 0, 240, 0, 0)
    upgrade = found[UPGRADE].groups["m5.large"]
    assert (upgrade.nodes, upgrade.held, upgrade.pods, upgrade.idle) == (9, 110, 0, 72)
    assert upgrade.fits == 4
    assert all(state.fits for state in found.values())


def test_what_does_not_fit_is_counted_where_it_does_not():
    found = states(group(count=9), a="10.0.0.0/24")
    assert found[AT_REST].fits
    peak = found[AT_PEAK]
    assert not peak.fits
    assert peak.total("unserved") > 0
    assert peak.total("pods") + peak.total("unserved") == 9 * 27
    crowded = states(group(count=26), a="10.0.0.0/24")
    assert crowded[AT_REST].total("refused") == 1


def test_an_upgrade_counts_no_pod_twice_and_needs_room_for_its_new_nodes():
    found = states(group(count=12, pods=5, surge=2), a="10.0.0.0/24")
    assert found[AT_REST].fits
    assert found[AT_REST].total("held") == 240
    upgrade = found[UPGRADE]
    assert (upgrade.total("refused"), upgrade.total("unserved")) == (2, 0)
    assert upgrade.total("pods") == found[AT_REST].total("pods") == 60
    assert not upgrade.fits


def test_one_full_node_of_110_pods_fits_a_24():
    found = states(group("t3.medium", 2, settings=PREFIXES, pods=108), a="10.0.0.0/24")
    assert found[AT_REST].total("nodes") == 1
    assert found[AT_REST].total("unserved") == 108


def test_nodes_go_to_their_subnets_in_turn_and_on_where_one_is_full():
    found = states(group(count=10, subnets=("a", "b")), a="10.0.0.0/24", b="10.0.1.0/24")
    assert [free for free, _ in found[AT_REST].free.values()] == [201, 201]
    found = states(group(count=20, subnets=("a", "b")), a="10.0.0.0/26", b="10.0.1.0/24")
    assert found[AT_REST].total("refused") == 0
    assert found[AT_REST].free["a"][0] == 9


def test_mixed_groups_share_what_there_is():
    found = states(
        group(count=3, settings=PREFIXES, name="prefixes", pods=20),
        group("m5.xlarge", 2, name="secondary", pods=14),
        a="10.0.0.0/22",
    )
    rest = found[AT_REST]
    assert rest.groups["prefixes"].held == 3 * (1 + 16 * 3)
    assert rest.groups["secondary"].held == 2 * 30
    assert rest.total("held") == 1019 - rest.free["a"][0]
    assert found[AT_PEAK].groups["prefixes"].pods == 3 * 108


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.builds(
            group,
            st.sampled_from(["m5.large", "t3.small", "m5.xlarge"]),
            st.integers(0, 6),
            settings=st.sampled_from([SECONDARY, PREFIXES, Settings(warm_ip_target=2)]),
            subnets=st.sampled_from([("a",), ("b",), ("a", "b")]),
            pods=st.integers(0, 9),
            surge=st.integers(0, 3),
        ),
        min_size=1,
        max_size=3,
        unique_by=lambda each: each.name,
    ),
    st.integers(0, 2**20),
)
def test_nothing_is_held_twice_or_lost(groups, seed):
    subnets = {"a": Subnet("10.0.0.0/24"), "b": Subnet("10.0.1.0/25")}
    n_free = sum(each.n_free for each in subnets.values())
    for state in plan_capacity(groups, subnets, seed=seed):
        assert state.total("held") + sum(free for free, _ in state.free.values()) == n_free
        surge = state.name == UPGRADE
        for each in groups:
            count = state.groups[each.name]
            assert count.nodes + count.refused == each.count + surge * each.surge
            pods = each.peak_pods if state.name == AT_PEAK else each.pods
            if state.name == AT_PEAK:
                assert count.pods + count.unserved <= each.count * max(pods, each.pods)
            else:
                assert count.pods + count.unserved == each.count * pods
            assert min(count.idle, count.pods, count.unserved) >= 0
    assert sum(each.n_free for each in subnets.values()) == n_free  # what was given stays


def test_the_worst_of_the_placements_is_told(monkeypatch):
    """Nodes with secondary IPs leave one placement of /28s more than another."""
    groups = [group(count=3, name="plain"), group(count=4, settings=PREFIXES, name="prefixes")]
    subnets = {"a": Subnet("10.0.0.0/24")}

    def refused(seed):
        found = plan_capacity(groups, subnets, seed=seed)
        return sum(state.total("refused") for state in found)

    worst = [refused(seed) for seed in range(12)]
    monkeypatch.setattr("ipam_core.subnet.groups.N_PLACEMENTS", 1)
    each = [refused(seed) for seed in range(16)]
    assert len(set(each)) > 1
    assert worst == [max(each[seed : seed + 5]) for seed in range(12)]


def test_pods_that_a_node_cannot_run_are_refused():
    with pytest.raises(InputError, match=r"group m5\.large: 28 pods on m5\.large: maxPods 29"):
        group(pods=28)


# --- the command --------------------------------------------------------------------------


def test_a_table_of_80_columns_and_what_was_taken(capsys):
    arguments = ["--cidr", "a=10.0.0.0/22", "--cidr", "b=10.0.4.0/22"]
    web = "4xm5.4xlarge,name=web,ENABLE_PREFIX_DELEGATION=true,pods=40,subnets=a"
    plain = "30xm5.large,pods=12,name=m5.large,subnets=b,surge=0"
    arguments += ["--group", web, "--group", plain]
    assert run(["capacity", *arguments]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    for words in (
        "m5.large: maxPods 29, AWS's number for the type with secondary IPs",
        "web: maxPods 110, AWS's max-pods calculator for 16 vCPUs",
        "Full nodes that an upgrade adds first: web 2, m5.large 0.",
        "More nodes that fit",
        "Free: addresses / /28s",
    ):
        assert words in out


def test_json_holds_groups_and_states(capsys):
    assert run(["capacity", "--cidr", "10.0.0.0/24", "--group", "8xm5.large", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (one,) = found["groups"]
    assert (one["max_pods"], one["peak_pods"], one["surge"]) == (29, 27, 2)
    assert one["node_at_peak"] == {"enis": 3, "addresses": 27, "prefixes": 0}
    assert [state["state"] for state in found["states"]] == [AT_REST, AT_PEAK, UPGRADE]
    assert found["states"][1]["held"] == 240
    assert found["states"][0]["subnets"] == {"10.0.0.0/24": {"free": 171, "free_prefixes": 0}} or (
        found["states"][0]["subnets"]["10.0.0.0/24"]["free"] == 171
    )


def test_subnets_as_they_are_and_zones_from_files(tmp_path, capsys):
    known = [
        subnet("subnet-1", "10.0.0.0/24", AvailabilityZone="eu-1a", AvailableIpAddressCount=248),
        subnet("subnet-2", "10.0.1.0/24", AvailabilityZone="eu-1b", AvailableIpAddressCount=251),
    ]
    enis = [eni("1", 20, instance="i-1"), leaked("2", 30, 31)]
    path = write(tmp_path, "a.json", account(subnets=known, enis=enis))
    assert run(["capacity", str(path), "--group", "2xm5.large", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["groups"][0]["surge"] == 4
    assert found["states"][0]["subnets"]["subnet-1"]["free"] == 238
    partial = account(subnets=[subnet(AvailableIpAddressCount=100)], enis=enis)
    assert run(["capacity", str(write(tmp_path, "b.json", partial)), "--group", "1xm5.large"]) == 2
    assert "what is in use is not all known" in capsys.readouterr().err


def test_what_does_not_fit_exits_1_and_the_settings_of_all_hold(tmp_path, capsys):
    settings_file = tmp_path / "values.yaml"
    settings_file.write_text("env: {ENABLE_PREFIX_DELEGATION: 'true', WARM_PREFIX_TARGET: '1'}\n")
    arguments = ["--cidr", "10.0.0.0/24", "--group", "5xt3.medium,pods=108"]
    assert run(["capacity", *arguments, "--settings", str(settings_file)]) == 1
    assert "1 ENI" not in capsys.readouterr().out.splitlines()[1]
    more = ["--cidr", "10.0.0.0/24", "--group", "1xm5.large", "--max-pods", "60", "-e",
            "ENABLE_PREFIX_DELEGATION=true"]  # fmt: skip
    assert run(["capacity", *more]) == 0
    assert "maxPods 60, given" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--group", "3xm5.large"], "either files of subnets or --cidr"),
        (["--cidr", "10.0.0.0/24", "--group", "m5.large"], "COUNTxTYPE first"),
        (["--cidr", "10.0.0.0/24", "--group", "3xm5.large,colour=red"], "'colour=red' is none of"),
        (["--cidr", "10.0.0.0/24", "--group", "3xm5.large,pods=many"], "pods is an integer"),
        (["--cidr", "10.0.0.0/24", "--group", "3xm5.huge"], "unknown instance type 'm5.huge'"),
        (["--cidr", "10.0.0.0/24", "--group", "3xm5.large,subnets=b"], "no subnet 'b'"),
        (["--cidr", "10.0.0.0/24", "--group", "3xm5.large,pods=50"], "maxPods 29 admits 27"),
        (["--cidr", "10.0.0.0/8", "--group", "3xm5.large"], "/16 to /28"),
        (["--cidr", "a=10.0.0.0/24", "--cidr", "a=10.0.1.0/24", "--group", "1xm5.large"], "twice"),
        (
            ["--cidr", "10.0.0.0/24", "--group", "1xm5.large,name=a", "--group",
             "1xm5.large,name=a"],
            "two are named 'a'",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_status_2(arguments, told, capsys):
    assert run(["capacity", *arguments]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1


def test_pods_that_max_pods_lets_in_beyond_the_addresses_are_a_problem_found(capsys):
    assert run(["capacity", "--cidr", "10.0.0.0/24", "--group", "1xm5.large,max-pods=110"]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "lets in 108 pods that need an address, and a node serves 27: 81 would never" in told
    assert run(["capacity", "--cidr", "10.0.0.0/22", "--group", "1xm5.large"]) == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--cidr", "10.0.0.0/20", "--group", "99999999xm5.large"], "1 to 50,000 nodes"),
        (["--cidr", "10.0.0.0/20", "--group", "0xm5.large"], "1 to 50,000 nodes"),
        (["--cidr", "10.0.0.0/20", "--group", "1xm5.large,max-pods=0"], "max-pods is at least 1"),
        (
            ["--cidr", "10.0.0.0/20", "--group", "1xm5.large,WARM_IP_TARGETS=3"],
            "--group '1xm5.large,WARM_IP_TARGETS=3': no setting of addresses",
        ),
        (
            ["--cidr", "10.0.0.0/24", "--cidr", "10.0.0.128/25", "--group", "1xm5.large"],
            "--cidr '10.0.0.128/25': it overlaps --cidr '10.0.0.0/24'",
        ),
    ],
)
def test_what_no_group_or_subnet_can_be_is_refused_in_one_line(arguments, line, capsys):
    assert run(["capacity", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert line in captured.err
    assert captured.err.count("\n") == 1
