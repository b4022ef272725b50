"""One change of the DaemonSet for several kinds of finding, played together on every type."""

import json
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from ipam_core import IPAM_CORE, VPC_CNI, Node
from ipam_core.cli._app import run
from ipam_core.diagnosis.explain import play as playing
from ipam_core.diagnosis.explain import together
from ipam_core.diagnosis.explain.explanation import explain
from ipam_core.diagnosis.explain.finding import Severity
from ipam_core.diagnosis.explain.play import NodeCase, Play
from ipam_core.diagnosis.explain.together import _merged, agree, bad, one_for_all
from ipam_core.errors import UnknownInstanceTypeError
from ipam_core.instances import limits
from support.by_hand import with_change

M8G, M5, T3 = "m8g.4xlarge", "m5.large", "t3.small"
CASES = [
    ([M8G, M5], {"MINIMUM_IP_TARGET": "25"}),
    ([M5], {"MINIMUM_IP_TARGET": "25"}),
    ([M8G, M5, T3], {"WARM_ENI_TARGET": "0"}),
    ([M8G], {"WARM_ENI_TARGET": "0"}),
    ([M5], {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "0"}),
    (["m5.4xlarge"], {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "0"}),
]


def kinds_with_a_change(explained):
    return {
        finding.kind.identifier
        for each in explained
        for finding in each.findings
        if finding.fix and finding.fix.change and finding.fix.change.env
    }


@pytest.mark.parametrize(("types", "env"), CASES, ids=str)
def test_the_one_change_fixes_all_kinds_on_every_type(types, env):
    """It is set by hand, and each type explained again: each advice alone was proven before."""
    before = agree([explain(name, env) for name in types])
    kinds = kinds_with_a_change(before)
    found = one_for_all(before)
    assert (found is not None) is (len(kinds) > 1)
    if found is None:
        return
    assert {*found.kinds, *found.left} == kinds
    assert len(found.kinds) > 1
    for old in before:
        new = with_change(old, env, found.fix.change.env)
        assert new.verdict.served >= old.verdict.served
        assert bad(new) <= bad(old) - set(found.kinds)


def test_one_that_fixes_all_alone_is_enough():
    """The stall asks for 10 ahead, the rolling update for 16; with 10 pods wait 5 s at most."""
    found = one_for_all(agree([explain(name, {"MINIMUM_IP_TARGET": "25"}) for name in (M8G, M5)]))
    assert found.kinds == ("minimum-without-warm", "cooldown-exhausted")
    assert found.fix.change.env == {"WARM_IP_TARGET": "10"}
    assert found.left == ()


def test_a_change_is_played_once_on_each_type_and_without_its_costs(monkeypatch):
    """Two kinds of finding often suggest the same change; only errors and warnings make worse."""
    before = [explain(name, {"WARM_ENI_TARGET": "0"}) for name in (M5, T3)]
    tried = []

    def noted(limits, env, *, least, **arguments):
        tried.append((limits.instance_type, *sorted(env.items())))
        assert least is Severity.WARNING
        return explain(limits, env, least=least, **arguments)

    monkeypatch.setattr(together, "explain", noted)
    agree(before)
    assert sorted(tried) == [(name, ("WARM_ENI_TARGET", "1")) for name in (M5, T3)]


@pytest.mark.parametrize(
    ("envs", "merged"),
    [
        ([{"WARM_IP_TARGET": "10"}, {"WARM_IP_TARGET": "9"}], {"WARM_IP_TARGET": "10"}),
        ([{"WARM_IP_TARGET": "9"}, {"WARM_IP_TARGET": "10"}], {"WARM_IP_TARGET": "10"}),
        ([{"MAX_ENI": None}, {"MAX_ENI": "3"}], {"MAX_ENI": "3"}),
        ([{"MAX_ENI": "3"}, {"MAX_ENI": None}], {"MAX_ENI": "3"}),
        ([{"A": "true"}, {"B": None}], {"A": "true", "B": None}),
    ],
)
def test_changes_as_one(envs, merged):
    assert _merged(envs) == merged


def test_one_command_and_its_price_are_printed_last(capsys):
    assert run(["explain", M8G, M5, "-e", "MINIMUM_IP_TARGET=25", "--nodes", "300"]) == 1
    text = " ".join(capsys.readouterr().out.split())
    last = text.partition("one change for all of these: ")[2]
    assert last.startswith("minimum-without-warm, cooldown-exhausted played together: on all 2")
    assert "ds/aws-node WARM_IP_TARGET=10 price: 12 idle addresses" in last
    assert "3,600 on 300 nodes" in last


def test_the_price_of_each_change_is_in_the_text_of_one_node_and_in_json(capsys):
    """JSON had it for the one change for all alone."""
    stalls = ["explain", M8G, "-e", "MINIMUM_IP_TARGET=25", "--nodes", "1"]
    assert run(stalls) == 1
    assert "10 idle addresses on a half-full m8g.4xlarge; 10 on 1 node\n" in capsys.readouterr().out
    run([*stalls, "--json"])
    assert json.loads(capsys.readouterr().out)["prices"] == [
        {
            "env": {"WARM_IP_TARGET": "10"},
            "idle_half_full": [{"instance_type": M8G, "before": 0, "after": 10}],
        }
    ]


def test_json_has_the_one_change_and_null_where_there_is_none(capsys):
    run(["explain", M8G, M5, "-e", "MINIMUM_IP_TARGET=25", "--json"])
    together = json.loads(capsys.readouterr().out)["together"]
    assert together["env"] == {"WARM_IP_TARGET": "10"}
    assert together["fixes"] == ["minimum-without-warm", "cooldown-exhausted"]
    assert [price["instance_type"] for price in together["idle_half_full"]] == [M8G, M5]
    run(["explain", M5, "--json"])
    assert json.loads(capsys.readouterr().out)["together"] is None


def test_a_subnet_that_is_enough_has_room_for_the_primary_itself():
    """29 were told, and are one too few: 27 for pods, and an address of each of 3 ENIs."""
    (found,) = [f for f in explain(M5, subnet_free=20).findings if "subnet" in f.kind.identifier]
    assert found.fix.note == "use a subnet with 30 free addresses for each node"
    assert found.outcome == "serves all 27 pods"
    assert explain(M5, subnet_free=30 - 1).verdict.serves_all  # the primary has its own by then
    assert not explain(M5, subnet_free=30 - 2).verdict.serves_all


# --- what a process pool carries ----------------------------------------------------------


@pytest.mark.parametrize("env", [{}, {"MINIMUM_IP_TARGET": "25"}, {"WARM_ENI_TARGET": "0"}])
def test_an_explanation_can_be_pickled(env):
    """A player holds a lambda as its clock: it has to stay behind."""
    mine = explain(M5, env, subnet_free=100)
    copy = pickle.loads(pickle.dumps(mine))
    assert (copy.verdict, copy.findings, copy.case) == (mine.verdict, mine.findings, mine.case)
    assert (copy.play.up, copy.play.back) == (mine.play.up, mine.play.back)
    assert (copy.play.flap, copy.play.mode) == (mine.play.flap, mine.play.mode)
    assert one_for_all(agree([copy])) == one_for_all(agree([mine]))


def test_a_play_that_was_not_played_back_can_be_pickled():
    mine = Play(NodeCase(limits=limits(M5), env={"WARM_IP_TARGET": "2"}, max_pods=29))
    copy = pickle.loads(pickle.dumps(mine))
    assert copy.back == mine.back
    assert len(copy.back) == 27


def test_a_process_pool_explains():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(explain, M5, {}).result().verdict.serves_all
        with pytest.raises(UnknownInstanceTypeError, match=r"nearest: m5\.large"):
            pool.submit(explain, "m5.lrge", {}).result()


# --- pool checks that do nothing are left out ---------------------------------------------


@pytest.mark.parametrize("policy", [VPC_CNI, IPAM_CORE], ids=lambda policy: policy.name)
@pytest.mark.parametrize(
    "env",
    [
        {},
        {"WARM_ENI_TARGET": "0", "IP_COOLDOWN_PERIOD": "90"},
        {"WARM_IP_TARGET": "2", "MINIMUM_IP_TARGET": "5"},
        {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "0"},
        {"MAX_ENI": "2"},
    ],
    ids=str,
)
def test_a_play_is_the_same_with_every_pool_check(env, policy, monkeypatch):
    case = NodeCase(limits=limits(M5), env=env, max_pods=29, policy=policy, subnet_free=25)
    quick = Play(case)
    checks = []
    adjust = Node.adjust
    monkeypatch.setattr(Node, "adjust", lambda node: checks.append(node) or adjust(node))
    Play(case).back  # noqa: B018  (played at first use)
    n_quick = len(checks)
    monkeypatch.setattr(Node, "would_idle", lambda _: False)
    monkeypatch.setattr(Node, "idles_until_pods_change", lambda _: False)
    slow = Play(case)
    assert (quick.up, quick.back, quick.flap) == (slow.up, slow.back, slow.flap)
    assert str(quick.top_error) == str(slow.top_error)
    assert 2 * n_quick < len(checks)  # of both plays


# --- only a check -------------------------------------------------------------------------


@pytest.mark.parametrize("env", [{"MINIMUM_IP_TARGET": "25"}, {"WARM_ENI_TARGET": "0"}, {}])
def test_a_check_finds_the_same_without_advice_and_plays_the_node_once(env, monkeypatch):
    full = explain(M5, env)
    worlds = []
    world = playing.PlayedNode
    monkeypatch.setattr(playing, "PlayedNode", lambda case: worlds.append(case) or world(case))
    checked = explain(M5, env, least=Severity.WARNING, advise=False)
    assert len(worlds) == 2  # the node itself, and its capacity
    assert checked.verdict == full.verdict
    said = [(f.kind, f.why) for f in full.findings if f.kind.severity is not Severity.INFO]
    assert [(f.kind, f.why) for f in checked.findings] == said
    assert not any(finding.fix for finding in checked.findings)
