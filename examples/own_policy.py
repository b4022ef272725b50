"""A warm pool that predicts: a policy of one's own, compared with both policies on a fleet.

    python examples/own_policy.py

The agent keeps a fixed number of addresses ahead. This rule keeps as many as demand rose by
within 30 seconds at any time in the last ten minutes, and at least one: after a burst it is
ready for the next, and a quiet node keeps little.
"""

from dataclasses import replace

from ipam_core import IPAM_CORE, VPC_CNI, Decision, FleetResult, PoolView, pool, simulate

CHECKS_AHEAD = 6
"""Pool checks are 5 s apart: 30 s is what a new ENI takes, and the check before it."""


def predict(view: PoolView) -> Decision:
    """Keep what demand may rise by until another ENI is there."""
    recent = view.recent_in_use
    rises = [later - earlier for earlier, later in zip(recent, recent[CHECKS_AHEAD:], strict=False)]
    warm = max([1, *rises])
    return pool.aim(view, warm_ip=warm, policy=IPAM_CORE)


PREDICTIVE = replace(IPAM_CORE, name="predictive", rule=predict, memory_s=600)

FLEET = {
    "name": "bursts",
    "duration": "1h",
    "measure_from": "10m",
    "nodes": [
        {
            "name": "app",
            "instance_type": "m5.large",
            "count": 20,
            "env": {"WARM_IP_TARGET": "2"},
        }
    ],
    "workloads": [
        {"kind": "churn", "pods_per_node": 4, "lifetime": "10m"},
        {"kind": "cron_jobs", "pods": 120, "at": "12m", "every": "7m", "lifetime": "90s"},
    ],
}


def main() -> None:
    """Play the fleet under the three policies and print what each costs."""
    print(f"{'policy':12} {'waited':>7} {'p99 wait':>9} {'idle':>6} {'EC2 calls':>10}")
    for policy in (VPC_CNI, IPAM_CORE, PREDICTIVE):
        result = simulate(FLEET, policy=policy, seed=1)
        assert isinstance(result, FleetResult)
        wait_s, idle = result.wait_quantile_s(0.99), result.mean("idle") / 20
        costs = f"{wait_s:>7.1f} s {idle:>6.1f} {result.n_calls:>10}"
        print(f"{policy.name:12} {result.n_waited:>7} {costs}")


if __name__ == "__main__":
    main()
