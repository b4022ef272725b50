"""IP_COOLDOWN_PERIOD=0, played from a file: what a pod gives back, the next pod gets at once."""

import pytest

from ipam_core import IPAM_CORE, VPC_CNI, simulate

FULL_NODE = """
instance_type: m5.large
env: {MINIMUM_IP_TARGET: "3", IP_COOLDOWN_PERIOD: "%s"}
steps:
  - {op: boot}
  - {op: settle}
  - {op: add_pods, n: 3}
  - {op: del_pods, n: 1}
  - {op: add_pods, n: 1}
  - {op: expect, pending_pods: %d, cooldown_ips: %d}
expect: {pending_pods: %d}
"""


@pytest.mark.parametrize("policy", [VPC_CNI, IPAM_CORE])
@pytest.mark.parametrize("seconds", [0, 30])
def test_the_pod_that_comes_as_one_goes_is_served_without_a_cooldown(seconds, policy, tmp_path):
    """All three addresses are held: the fourth pod needs the one that came back a moment ago."""
    waits = 1 if seconds else 0
    file = tmp_path / "scenario.yaml"
    file.write_text(FULL_NODE % (seconds, waits, waits, waits))
    result = simulate(file, policy=policy)
    assert result.passed, result.mismatches
