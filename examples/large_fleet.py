"""Print the file of a large fleet: regions, each with so many nodes of 100 pods.

python examples/large_fleet.py --regions 10 --nodes 10000 > large.json
ipam-core simulate large.json --jobs 2
"""

import argparse
import json

NODES_OF_A_SUBNET = 333
"""A /16 has 65,531 addresses. A node of 100 pods and a warm prefix holds eight or nine /28s."""
CALLS = (
    "AssignPrivateIpAddresses",
    "UnassignPrivateIpAddresses",
    "DescribeNetworkInterfaces",
    "DescribeSubnets",
    "CreateTags",
)
"""The calls whose limits an account of this size has raised."""


def large_fleet(n_regions: int, n_nodes: int, hours: float) -> dict[str, object]:
    """Return the content of the file."""
    n_subnets = -(-n_nodes // NODES_OF_A_SUBNET)
    join_s = min(3600, int(hours * 3600 / 4))
    return {
        "name": "large",
        "duration": f"{hours}h",
        "measure_from": f"{2 * join_s}s",
        "subnets": [
            {"id": f"{region}-{n}", "cidr": f"10.{n}.0.0/16", "zone": "abc"[n % 3],
             "region": f"region-{region}"}
            for region in range(n_regions)
            for n in range(n_subnets)
        ],
        "nodes": [
            {
                "name": f"app-{region}",
                "instance_type": "m5.4xlarge",
                "count": n_nodes,
                "join_over": f"{join_s}s",
                "subnets": [f"{region}-{n}" for n in range(n_subnets)],
                "env": {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"},
            }
            for region in range(n_regions)
        ],
        "ec2": {"throttling": {api: {"burst": 500, "per_second": 100} for api in CALLS}},
        "workloads": [{"kind": "churn", "pods_per_node": 100, "lifetime": "1h"}],
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--regions", type=int, default=10)
    parser.add_argument("--nodes", type=int, default=10_000, help="of each region")
    parser.add_argument("--hours", type=float, default=24)
    given = parser.parse_args()
    print(json.dumps(large_fleet(given.regions, given.nodes, given.hours), indent=1))
