"""Every difference between the better rules and the recorded agent is listed and told."""

import re

import pytest

from ipam_core.documents import load_documents
from support.policy_replay import LISTED, ROOT, RULES, differences, rules_of, scenarios

(LISTED_LIVES,) = load_documents(LISTED.read_text("utf-8"))
LIVES = {scenario.scenario_id: scenario for scenario in scenarios()}
TOLD = re.findall(
    r"^\| `([a-z0-9-]+)` \| (.*?) \| (.*) \|$",
    (ROOT / "docs" / "policies.md").read_text("utf-8"),
    re.M,
)


@pytest.mark.parametrize("name", LIVES)
def test_a_life_differs_just_as_it_is_listed(name):
    listed = LISTED_LIVES.get(name, {"rules": [], "differences": []})
    assert differences(LIVES[name]) == listed["differences"]


@pytest.mark.parametrize("name", LISTED_LIVES)
def test_the_rules_that_make_the_difference_are_those_listed(name):
    assert rules_of(LIVES[name]) == LISTED_LIVES[name]["rules"]


def test_the_page_tells_of_every_named_life_that_differs_and_why():
    named = {n for n in LISTED_LIVES if not n.startswith(("random-", "faults-"))}
    assert {name for name, _, _ in TOLD} == named
    for name, rules, why in TOLD:
        told = set(re.findall(r"`([a-z_]+)`", rules))
        assert told == set(LISTED_LIVES[name]["rules"]), name
        assert len(why) > 10


def test_every_listed_life_is_one_of_the_recorded():
    assert set(LISTED_LIVES) <= set(LIVES)
    assert set(RULES) >= {rule for life in LISTED_LIVES.values() for rule in life["rules"]}
