"""How many nodes fit, and forecasts: the right maxPods in each mode, and what explain plays."""

import json
import os
import re
import time
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam_core import instances
from ipam_core._subnet import Subnet
from ipam_core.diagnosis.explain import explain
from ipam_core.diagnosis.explain.finding import Severity
from ipam_core.errors import InputError
from ipam_core.settings import Settings
from ipam_core.subnet.draw import Draw, node_draws
from ipam_core.subnet.forecast import Churn, forecast
from support.subnet_account import account, eni, node, subnet, write

TYPES = ("t3.small", "t3.medium", "m5.large", "m5.4xlarge", "m5.24xlarge", "m4.large")


@given(
    st.sampled_from(TYPES),
    st.fixed_dictionaries(
        {},
        optional={
            "WARM_ENI_TARGET": st.sampled_from("12"),
            "WARM_IP_TARGET": st.sampled_from(["1", "5", "16"]),
            "MINIMUM_IP_TARGET": st.sampled_from(["10", "25"]),
            "WARM_PREFIX_TARGET": st.sampled_from("123"),
            "ENABLE_PREFIX_DELEGATION": st.just("true"),
            "MAX_ENI": st.just("2"),
        },
    ),
    st.integers(0, 260),
    st.one_of(st.none(), st.integers(3, 120)),
)
def test_a_draw_is_what_explain_plays(instance_type, env, pods, max_pods):
    """Prevents a rule written twice: one /28 too few was counted at WARM_PREFIX_TARGET=2."""
    limits = instances.limits(instance_type)
    settings = Settings.from_env(env)
    if max_pods is None:
        max_pods = instances.max_pods(limits, settings).value
    draws = node_draws(
        limits, settings, prefix_mode=settings.enable_prefix_delegation, max_pods=max_pods
    )
    played = explain(limits, env, max_pods=max_pods, least=Severity.ERROR, advise=False).play
    assert draws.served == played.served
    level = played.up[min(pods, played.served)]
    if level.settled:
        draw = draws.at(pods)
        assert (draw.enis, draw.pool) == (level.enis, level.total)
        assert (draw.prefixes > 0) == (limits.nitro and settings.enable_prefix_delegation) or (
            draw.pool == 0
        )


def test_a_level_that_does_not_settle_counts_at_its_most():
    draws = node_draws(
        instances.limits("m5.large"), Settings(warm_eni_target=0), prefix_mode=False, max_pods=29
    )
    assert draws.at(9) == Draw(enis=2, addresses=18, prefixes=0)


@pytest.mark.parametrize(
    ("instance_type", "pods", "prefixes"),
    [("m5.large", 100, 7), ("t3.medium", 108, 7), ("m5.24xlarge", 200, 13)],
)
def test_full_nodes_in_prefix_mode_hold_what_their_pods_need(instance_type, pods, prefixes):
    """Prevents 2 /28s for 108 pods, which secondary IPs' maxPods made of it."""
    limits = instances.limits(instance_type)
    settings = Settings(warm_prefix_target=1, enable_prefix_delegation=True)
    most = instances.max_pods(limits, settings).value
    draws = node_draws(limits, settings, prefix_mode=True, max_pods=most)
    assert draws.at(pods).prefixes in (prefixes, prefixes + 1)
    assert 16 * draws.at(pods).prefixes >= pods


@pytest.fixture
def empty(tmp_path):
    known = subnet(AvailableIpAddressCount=251)
    return write(tmp_path, "empty24.json", account(subnets=[known], enis=[]))


def fits(run_subnet, file, *arguments):
    status, out, err = run_subnet("report", file, "--json", *arguments)
    assert status == 0, err
    (told,) = json.loads(out)["subnets"]
    return {(fit["mode"], fit["pods_per_node"]): fit for fit in told["advice"]["nodes_that_fit"]}


def test_one_full_node_of_110_pods_fits_an_empty_24(empty, run_subnet):
    found = fits(run_subnet, empty, "--instance", "t3.medium", "--pods-per-node", 108)
    prefixes = found["prefixes", 108]
    assert (prefixes["max_pods"], prefixes["now"]) == (110, 1)
    assert prefixes["draw"] == {"enis": 2, "addresses": 0, "prefixes": 7}
    secondary = found["secondary IPs", 108]
    assert secondary["now"] is None
    assert secondary["note"] == "maxPods 17 admits 15 pods with an address"


def test_max_pods_is_taken_and_said(empty, run_subnet):
    found = fits(run_subnet, empty, "--instance", "m5.large", "--max-pods", 60)
    assert {fit["max_pods"] for fit in found.values()} == {60}
    assert {fit["max_pods_rule"] for fit in found.values()} == {"given"}
    assert found["secondary IPs", 58]["note"] == "27 of 58 pods get an address"
    assert found["prefixes", 58]["now"] > 0
    out = run_subnet("report", empty, "--instance", "m5.large")[1]
    assert "maxPods with prefixes: 110, AWS's max-pods calculator for 2 vCPUs" in out
    assert "maxPods with secondary IPs: 29" in out
    rows = [line for line in out.splitlines() if re.match("(secondary IPs|prefixes) ", line)]
    assert len(rows) == 4
    assert all(re.search(r" \d ENIs?, \d+ (IP|/28)s? ", row) for row in rows), "in one line each"


def test_pods_that_no_mode_of_the_type_serves_are_refused(empty, run_subnet):
    status, _, err = run_subnet("report", empty, "--instance", "m5.large", "--pods-per-node", 300)
    assert status == 2
    assert "300 pods a node: m5.large cannot" in err
    assert err.count("\n") == 1


def test_prefix_mode_alone_is_judged_as_a_cluster_has_it(empty, run_subnet):
    """`kubectl set env` leaves the manifest's WARM_PREFIX_TARGET=1 next to it."""
    warm = fits(run_subnet, empty, "--instance", "m5.large", "--pods-per-node", 16)
    assert warm["prefixes", 16]["draw"]["prefixes"] == 2
    cold = fits(run_subnet, empty, "--instance", "m5.large", "--pods-per-node", 16,
                "-e", "WARM_PREFIX_TARGET=0", "-e", "WARM_IP_TARGET=1")  # fmt: skip
    assert cold["prefixes", 16]["draw"]["prefixes"] == 2
    flapping = fits(run_subnet, empty, "--instance", "m5.large", "--pods-per-node", 15,
                    "-e", "WARM_PREFIX_TARGET=0")  # fmt: skip
    assert flapping["prefixes", 15]["draw"]["prefixes"] == 1


def test_limits_by_hand_and_of_a_file_of_types(empty, run_subnet, tmp_path):
    found = fits(run_subnet, empty, "--limits", "enis=2,ips=5,nitro=true")
    assert found["secondary IPs", 8]["draw"] == {"enis": 2, "addresses": 8, "prefixes": 0}
    types = tmp_path / "types.json"
    described = {
        "InstanceType": "z9.huge",
        "Hypervisor": "nitro",
        "BareMetal": False,
        "VCpuInfo": {"DefaultVCpus": 2},
        "NetworkInfo": {
            "Ipv4AddressesPerInterface": 5,
            "MaximumNetworkInterfaces": 2,
            "DefaultNetworkCardIndex": 0,
            "NetworkCards": [{"NetworkCardIndex": 0, "MaximumNetworkInterfaces": 2}],
        },
    }
    types.write_text(json.dumps({"InstanceTypes": [described]}))
    found = fits(run_subnet, empty, "--instance", "z9.huge", "--instance-types", types)
    assert found["secondary IPs", 8]["draw"]["enis"] == 2
    status, out, _ = run_subnet("forecast", "--cidr", "10.0.0.0/24", "--nodes", 2, "--hours", 1,
                                "--pods-per-node", 5, "--limits", "enis=2,ips=5")  # fmt: skip
    assert status == 0
    assert "maxPods 10" in out


CHURN = Churn(nodes=8, node_life_h=24, pods_per_node=100, pod_life_h=2, hours=6, samples=4)
PREFIXES = Settings(warm_prefix_target=1)


def test_a_forecast_serves_the_pods_that_were_asked_for():
    """Prevents 216 pods of 800, which secondary IPs' maxPods made of them."""
    found = forecast(
        Subnet("10.0.0.0/20"), instances.limits("m5.large"), PREFIXES, CHURN, prefix_mode=True
    )
    assert (found.max_pods, found.max_pods_rule[:5]) == (110, "AWS's")
    for samples in found.samples.values():
        assert all(600 < sample.pods <= 108 * sample.nodes for sample in samples)
        assert not any(sample.unserved for sample in samples)


def test_what_is_lost_on_the_way_is_counted():
    found = forecast(
        Subnet("10.0.0.0/23"), instances.limits("m5.large"), PREFIXES, CHURN, prefix_mode=True
    )
    assert found.refused
    for samples in found.samples.values():
        for sample in samples:
            held = 512 - 5 - sample.free
            assert sample.pods <= held
        assert samples[-1].unserved + samples[-1].lost > 0


def test_nodes_without_an_address_do_not_join():
    found = forecast(
        Subnet("10.0.0.0/28"),
        instances.limits("m5.large"),
        Settings(),
        replace(CHURN, nodes=30, pods_per_node=1),
    )
    last = found.samples["random"][-1]
    assert last.not_joined > 0
    assert last.nodes < 11  # so many addresses there are


def test_more_pods_than_a_node_runs_are_refused_not_capped():
    limits = instances.limits("m5.large")
    with pytest.raises(InputError, match=r"100 pods a node: m5\.large: maxPods 29 admits 27"):
        forecast(Subnet("10.0.0.0/20"), limits, Settings(), CHURN)
    found = forecast(Subnet("10.0.0.0/20"), limits, PREFIXES, CHURN, prefix_mode=True, max_pods=102)
    assert found.max_pods_rule == "given"


def test_the_command_shows_free_addresses_and_exits_1_where_refused(run_subnet):
    arguments = ("--cidr", "10.0.0.0/22", "--prefixes", "--nodes", 8, "--pods-per-node", 100)
    status, out, _ = run_subnet("forecast", *arguments, "--hours", 5)
    assert status == 1
    assert "Calls that EC2 refused" in out
    assert "Free" in out
    assert "0.208333" not in out
    assert max(map(len, out.splitlines())) <= 80
    status, out, _ = run_subnet("forecast", "--cidr", "10.0.0.0/20", "--nodes", 4, "--hours", 1)
    assert status == 0
    assert "refused" not in out


def subnets_of(n_subnets, n_nodes):
    """Return an account of subnets full of nodes whose addresses share blocks."""
    enis, instances_ = [], []
    for s in range(n_subnets):
        for n in range(n_nodes):
            name = f"{s}-{n}"
            addresses = [
                f"10.{s}.{(37 * n + 53 * k) % 15}.{(n + 61 * k) % 250 + 4}" for k in range(4)
            ]
            one = eni(name, instance=f"i-{name}", subnet_id=f"subnet-{s:02}")
            one["PrivateIpAddresses"] = [{"PrivateIpAddress": each} for each in addresses]
            enis.append(one)
            instances_.append(node(f"i-{name}"))
    subnets = [subnet(f"subnet-{s:02}", f"10.{s}.0.0/20") for s in range(n_subnets)]
    return account(subnets=subnets, enis=enis, instances=instances_)


def test_many_subnets_are_one_table_first_and_share_one_time_limit(
    tmp_path, run_subnet, monkeypatch
):
    """Prevents 5 s of solving for each of 20 subnets."""
    from ipam_core.cli import _processes

    asked = []

    class Here:
        """An executor that only notes what it is asked, and searches for no time."""

        def __init__(self, n_jobs):
            self.n_jobs = n_jobs

        def submit(self, function, search, until_s, share):
            asked.append((self.n_jobs, search.size, until_s, share))
            (done := Future()).set_result(function(search, 0.0, share))
            return done

    monkeypatch.setattr(_processes, "processes", lambda n_jobs: nullcontext(Here(n_jobs)))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    many = subnets_of(6, 60)
    del many["NetworkInterfaces"][-1]  # the last search is the smallest
    path = write(tmp_path, "many.json", many)
    start = time.monotonic()
    status, out, _ = run_subnet("report", path, "--solve-seconds", "3")
    assert status in (0, 1)
    assert start + 3 <= asked[0][2] <= time.monotonic() + 3
    assert [n_jobs for n_jobs, *_ in asked] == [2] * 6
    sizes = [size for _, size, *_ in asked]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    assert len({until_s for *_, until_s, _ in asked}) == 1
    assert [share for *_, share in asked] == [2 / 6, 2 / 5, 2 / 4, 2 / 3, 1, 1]
    head = out.split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in head] == ["Subnet", *(f"subnet-{s:02}" for s in range(6))]
    assert max(map(len, out.splitlines())) <= 80


def test_searches_of_all_subnets_end_with_their_common_time(tmp_path, run_subnet):
    path = write(tmp_path, "many.json", subnets_of(4, 60))
    start = time.monotonic()
    status, out, _ = run_subnet("report", path, "--solve-seconds", "2", "--json")
    assert status in (0, 1)
    assert time.monotonic() - start < 2 + 10
    methods = {each["advice"]["drains"]["method"] for each in json.loads(out)["subnets"]}
    assert methods <= {"exact", "solver, out of time"}


def test_a_long_subnet_id_fits_the_table(tmp_path, run_subnet):
    known = [subnet(f"subnet-0123456789abcdef{n}", f"10.{n}.240.0/20") for n in (1, 2)]
    path = write(tmp_path, "two.json", account(subnets=known, enis=[]))
    out = run_subnet("report", path)[1]
    assert "subnet-0123456789abcdef1 10.1.240.0/20" in " ".join(out.split())
