"""Each rule's example on the page shows the fault without it and none with it."""

import re

import pytest
import yaml

from ipam_core.policy import IPAM_CORE, VPC_CNI
from ipam_core.simulation.scenario.file import scenario_of
from ipam_core.simulation.scenario.player import play
from support.policy_replay import ROOT, RULES, with_rule

PAGE = (ROOT / "docs" / "policies.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## ([a-z_]+)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
EXAMPLES = {
    rule: yaml.safe_load(block[1])
    for rule, text in SECTIONS.items()
    if (block := re.search(r"^```yaml\n(.*?)^```$", text, re.M | re.S))
}


def test_every_rule_has_a_section_and_all_but_two_an_example():
    assert set(SECTIONS) == set(RULES)
    # tests/node/test_aside.py and test_cards.py show these.
    assert set(RULES) - set(EXAMPLES) == {"keep_unattached", "keep_on_refusal"}


def played(rule, expect, policy, seed):
    raw = {key: value for key, value in EXAMPLES[rule].items() if " " not in key}
    raw["expect"] = EXAMPLES[rule][expect]
    result = play(scenario_of(raw), policy=policy, seed=seed, record=False)
    return [str(mismatch) for mismatch in result.mismatches]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rule", EXAMPLES)
def test_the_fault_is_there_without_the_rule_and_gone_with_it(rule, seed):
    assert played(rule, "under vpc-cni", VPC_CNI, seed) == []
    assert played(rule, "with the rule", with_rule(rule), seed) == []
    assert played(rule, "with the rule", VPC_CNI, seed) != []


@pytest.mark.parametrize("rule", sorted(set(EXAMPLES) - {"pack"}))
def test_all_rules_together_show_no_fault_either(rule):
    """Other rules may change a number, but none brings the fault back."""
    assert played(rule, "under vpc-cni", IPAM_CORE, 0) != []
