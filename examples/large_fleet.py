"""Print the file of a large fleet: regions, each with so many nodes of 100 pods.

python examples/large_fleet.py --regions 10 --nodes 10000 > large.json
ipam-core simulate large.json --jobs 2
"""

import argparse
import json
from ipaddress import IPv4Network

NODES_OF_A_SUBNET = 333
"""A /16 has 65,531 addresses. A node of 100 pods and a warm prefix holds eight or nine /28s."""
RANGES = ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12")
BLOCKS = [str(block) for cidr in RANGES for block in IPv4Network(cidr).subnets(new_prefix=16)]
"""What the subnets of a region are taken from, in this order."""
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
    per_s = max(100, n_nodes // 100)
    join_s = min(3600, int(hours * 3600 / 4))
    return {
        "name": "large",
        "duration": f"{hours}h",
        "measure_from": f"{2 * join_s}s",
        "subnets": [
            {"id": f"{region}-{n}", "cidr": block, "zone": "abc"[n % 3],
             "region": f"region-{region}"}
            for region in range(n_regions)
            for n, block in enumerate(BLOCKS[:n_subnets])
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
        "ec2": {"throttling": {api: {"burst": 5 * per_s, "per_second": per_s} for api in CALLS}},
        "workloads": [{"kind": "churn", "pods_per_node": 100, "lifetime": "1h"}],
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--regions", type=int, default=10)
    parser.add_argument("--nodes", type=int, default=10_000, help="of each region")
    parser.add_argument("--hours", type=float, default=24)
    given = parser.parse_args()
    most = len(BLOCKS) * NODES_OF_A_SUBNET
    if given.nodes > most:
        parser.error(f"--nodes {given.nodes}: a region has room for {most}")
    print(json.dumps(large_fleet(given.regions, given.nodes, given.hours), indent=1))
