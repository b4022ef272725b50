"""A node's life without a browser: the film of a scenario, and what the browser is sent of it."""

import threading
from collections import Counter
from pathlib import Path

import pytest

from ipam_core.errors import InputError
from ipam_core.policy import IPAM_CORE, VPC_CNI
from ipam_core.simulation.files import read_scenarios
from ipam_core.simulation.scenario import frames
from ipam_core.simulation.scenario.file import parse_scenarios
from ipam_core.simulation.scenario.frames import film
from ipam_core.simulation.scenario.player import play

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "python" / "ipam_core" / "data" / "examples"
CONFORMANCE = ROOT / "tests" / "conformance"


def scenarios():
    """Return the page's examples and the scenarios of the real agent's behaviour."""
    files = [*sorted((EXAMPLES / "life").glob("*.yaml")), *sorted(CONFORMANCE.glob("[a-q]*.json"))]
    return [
        *(scenario for path in files for scenario in read_scenarios(path)),
        *parse_scenarios(
            "{id: no-cooldown, instance_type: m5.large, env: {IP_COOLDOWN_PERIOD: '0'}, steps: "
            "[{op: boot}, {op: add_pods, n: 3}, {op: del_pods, n: 2}, {op: run, seconds: 5}]}"
        ),
    ]


@pytest.mark.parametrize("policy", [VPC_CNI, IPAM_CORE], ids=lambda policy: policy.name)
def test_a_film_has_the_timeline_of_the_play_with_each_address_once(policy):
    """To film a node changes nothing: the same timeline, the same mismatches."""
    n_cooling = 0
    for scenario in scenarios():
        played, filmed = play(scenario, policy=policy), film(scenario, policy=policy)
        assert not filmed.cut
        assert [frame.moment for frame in filmed.frames] == played.timeline, scenario.scenario_id
        assert filmed.result.mismatches == played.mismatches
        for frame in filmed.frames:
            assert len(frame.waiting) == frame.moment.waiting
            enis = [eni for eni in frame.enis if eni.network_card == 0]
            assert len(enis) == frame.moment.enis
            if any(eni.excluded for eni in enis) or frame.moment.total > 1 << 32:
                continue  # not counted; not listed
            prefix = filmed.prefix_mode
            if policy is VPC_CNI and not all_of_a_kind(enis, prefix):
                continue  # what the other mode left is not counted
            states = Counter(
                address.state for eni in enis for slot in eni.slots for address in slot.addresses
            )
            moment = frame.moment
            expected = (moment.assigned, moment.cooling, moment.free - moment.cooling)
            assert (states["held"], states["cooling"], states["free"]) == expected, (
                scenario.scenario_id,
                moment,
            )
            n_cooling += states["cooling"]
    assert n_cooling > 100


def all_of_a_kind(enis, prefix):
    """Return whether every slot in use holds what the node's mode asks for."""
    return all(("/" in slot.cidr) == prefix for eni in enis for slot in eni.slots)


def stall():
    (scenario,) = read_scenarios(EXAMPLES / "life" / "stall.yaml")
    return scenario


def test_each_moment_has_the_rule_of_its_pool_check():
    filmed = film(stall())
    asks, stalled, grows = filmed.frames[2], filmed.frames[3], filmed.frames[5]
    assert [pod.name for pod in asks.waiting] == ["default/p26"]
    assert stalled.waiting[0].n_refused > 100
    assert stalled.growth[-1] == "the pool does not grow"
    assert "max(0, 0, 0) = 0" in stalled.growth[2]
    assert not stalled.checked
    # The check that asked for an ENI of 6 addresses saw 4 available, before it grew.
    assert grows.moment.calls == ("CreateNetworkInterface(6)", "AttachNetworkInterface")
    assert grows.checked
    assert grows.growth[0] == "short = max(WARM_IP_TARGET 10 - available 4,"
    assert grows.growth[-1] == "the pool grows"
    better = film(stall(), policy=IPAM_CORE).frames[3]
    assert better.moment.calls == ("AssignPrivateIpAddresses(1)",)
    assert better.growth[-2:] == (
        "more pods wait than addresses are free: 1 wait, 0 are free",
        "the pool grows",
    )


def test_a_cooling_address_says_whose_it_was_and_until_when():
    (scenario,) = read_scenarios(EXAMPLES / "life" / "cooldown.yaml")
    frame = next(each for each in film(scenario).frames if each.moment.cooling)
    cooling = [
        address
        for eni in frame.enis
        for slot in eni.slots
        for address in slot.addresses
        if address.state == "cooling"
    ]
    assert {each.until_s for each in cooling} == {frame.moment.time_s + 30}


def test_what_a_pool_gives_back_has_its_rule():
    (scenario,) = read_scenarios(EXAMPLES / "life" / "prefixes.yaml")
    gives = [
        frame
        for frame in film(scenario).frames
        if "UnassignPrivateIpAddresses(2)" in frame.moment.calls
    ]
    assert [frame.shrinking for frame in gives] == [
        ("free prefixes 3, WARM_PREFIX_TARGET 1", "the pool gives back up to 2 prefixes")
    ]
    (scenario,) = parse_scenarios(
        "{instance_type: m5.large, env: {WARM_IP_TARGET: '2'}, steps: [{op: boot}, "
        "{op: add_pods, n: 6}, {op: settle}, {op: del_pods, n: 4}, {op: run, seconds: 60}]}"
    )
    gives = next(each for each in film(scenario).frames if "Unassign" in str(each.moment.calls))
    assert gives.shrinking == (
        "over 4 addresses, beyond WARM_IP_TARGET 2",
        "and MINIMUM_IP_TARGET 0",
        "the pool gives back up to 4 addresses",
    )
    kept = film(scenario, policy=IPAM_CORE).frames[-1].shrinking
    assert kept[2:] == (
        "4 more were in use recently: they are kept",
        "the pool gives nothing back",
    )


def test_a_film_is_bounded(monkeypatch):
    monkeypatch.setattr(frames, "MOST_FRAMES", 3)
    filmed = film(stall())
    assert filmed.cut
    assert len(filmed.frames) == 3
    monkeypatch.setattr(frames, "MOST_ADDRESSES", 40)
    assert len(film(stall()).frames) == 2


def test_the_examples_are_those_of_the_repository_and_do_what_they_expect():
    names = {path.name for path in EXAMPLES.glob("*/*.yaml")}
    same = names & {path.name for path in (ROOT / "examples").glob("*.yaml")}
    assert "stall.yaml" in same
    for path in EXAMPLES.glob("*/*.yaml"):
        if path.name in same:
            assert path.read_bytes() == (ROOT / "examples" / path.name).read_bytes()
    for path in (EXAMPLES / "life").glob("*.yaml"):
        (scenario,) = read_scenarios(path)
        assert scenario.expect
        assert film(scenario).result.passed


# --- what the browser is sent -------------------------------------------------------------

page = pytest.importorskip("ipam_core.web.life.page", reason="the extra web is not installed")
from ipam_core.web.life import view  # noqa: E402
from ipam_core.web.life.examples import EXAMPLES as NAMES  # noqa: E402
from ipam_core.web.life.examples import example  # noqa: E402
from ipam_core.web.life.wire import MOST_WAITING, wire  # noqa: E402
from ipam_core.web.life.words import WORDS  # noqa: E402
from ipam_core.web.markup import examples  # noqa: E402
from ipam_core.web.words import words_in  # noqa: E402


@pytest.mark.parametrize("name", NAMES)
def test_what_is_sent_is_the_whole_film(name):
    (scenario,) = parse_scenarios(example(name))
    filmed = film(scenario)
    sent = wire(filmed)
    texts = sent["texts"]
    assert len(set(texts)) == len(texts)
    so_far = 0
    for frame, got in zip(filmed.frames, sent["frames"], strict=True):
        moment = frame.moment
        so_far += len(moment.calls)
        assert got["sum"] == so_far
        assert tuple(texts[call] for call in got["calls"]) == moment.calls
        assert sent["rules"][got["rule"]] == (frame.growth, frame.shrinking)
        assert [(texts[pod], n) for pod, n in got["wait"]] == list(frame.waiting[:MOST_WAITING])
        for eni, number in zip(frame.enis, got["enis"], strict=True):
            eni_id, role, device, card, excluded, n_slots, slots = sent["looks"][number]
            assert (texts[eni_id], role, device) == (eni.eni_id, eni.role, eni.device_number)
            assert (card, excluded, n_slots) == (eni.network_card, eni.excluded, eni.n_slots)
            found = [
                (texts[cidr], [read_back(texts, *each) for each in addresses])
                for cidr, addresses in slots
            ]
            assert found == [(slot.cidr, list(map(tuple, slot.addresses))) for slot in eni.slots]


def read_back(texts, address, state, pod=None, until_s=None):
    state = {"h": "held", "c": "cooling", "f": "free"}[state]
    return texts[address], state, "" if pod is None else texts[pod], until_s


def test_a_play_that_nobody_waits_for_ends_and_so_does_one_without_end(monkeypatch):
    stop = threading.Event()
    stop.set()
    with pytest.raises(page.StoppedError):
        page.play(stall(), stop)
    monkeypatch.setattr(page, "LONGEST_S", 0.0)
    with pytest.raises(InputError, match="use `ipam-core simulate`"):
        page.play(stall(), threading.Event())


def test_a_fleet_is_sent_to_its_own_part():
    with pytest.raises(InputError, match="a fleet"):
        page.scenarios_in(b"{duration: 1h, nodes: [{instance_type: m5.large, count: 1}]}")


def test_markup_is_shown_as_text_and_every_word_is_in_both_languages():
    evil = "<script>x</script>"
    for words in (words_in("en", WORDS), words_in("ko", WORDS)):
        html = view.player(1, evil, "vpc-cni", words)
        html += view.file(evil, evil, words) + view.choices([evil, evil], 1, words)
        html += examples(NAMES, "stall", "en", words) + view.unmet({"vpc-cni": [evil]}, words)
        assert "<script" not in html
        assert html.count("&lt;script&gt;") == 7
    assert all(english and korean for english, korean in WORDS.values())
