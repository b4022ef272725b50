"""What the recorded lives give under the better rules.

`python -m support.policy_replay`, in `tests`, writes `policy/differences.yaml` again, for a
reviewer to read.
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import yaml

from ipam_core.policy import IPAM_CORE, VPC_CNI
from ipam_core.simulation.files import read_scenarios
from ipam_core.simulation.scenario.player import play

ROOT = Path(__file__).parents[2]
LISTED = ROOT / "tests" / "policy" / "differences.yaml"
RULES = {
    field.name: getattr(IPAM_CORE, field.name)
    for field in fields(VPC_CNI)
    if field.name not in ("name", "rule", "memory_s", "placement")  # those of a caller's own
}
"""The switches, each with its value under `ipam-core`."""


def scenarios():
    """Read the recorded lives but the 240 of random2.json: too many to read through."""
    for file in sorted((ROOT / "tests" / "conformance").glob("*.json")):
        if file.name != "random2.json":
            yield from read_scenarios(file)


def with_rule(rule):
    """Return the agent's policy with one rule switched."""
    return replace(VPC_CNI, name=f"vpc-cni with {rule}", **{rule: RULES[rule]})


def differences(scenario, policy=IPAM_CORE):
    """Return what is not as the real agent had it, one line each."""
    return [str(mismatch) for mismatch in play(scenario, policy=policy, record=False).mismatches]


def rules_of(scenario):
    """Return the rules that make a difference to a life each by itself."""
    return [rule for rule in RULES if differences(scenario, with_rule(rule))]


def replayed():
    """Return every life that differs: the rules that do it, and each difference."""
    return {
        scenario.scenario_id: {"rules": rules_of(scenario), "differences": found}
        for scenario in scenarios()
        if (found := differences(scenario))
    }


if __name__ == "__main__":
    LISTED.write_text(yaml.safe_dump(replayed(), width=100, sort_keys=False))
