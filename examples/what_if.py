"""A scheduler's what-if: on which of 5,000 nodes would three more pods wait for an address?

    python examples/what_if.py [NODES]

A scheduler knows how many pods fit a node, not whether their addresses are there at once.
`pool.settled` works out a node's pool at rest without playing it: a few microseconds a node.
"""

import random
import sys
import time
from collections import Counter

from ipam_core import Settings, instances, pool

MORE = 3
TYPES = ("m5.large", "m5.xlarge", "c6i.2xlarge", "m8g.4xlarge")


def main(n_nodes: int = 5000) -> None:
    """Ask of each node, and print how many there are of each answer."""
    chance = random.Random(1)
    settings = Settings.from_env({"WARM_IP_TARGET": "2", "MINIMUM_IP_TARGET": "10"})
    nodes = []
    for _ in range(n_nodes):
        limits = instances.limits(chance.choice(TYPES))
        nodes.append((limits, chance.randrange(limits.usual_max_pods - MORE)))
    began = time.perf_counter()
    answers = Counter[str]()
    for limits, n_pods in nodes:
        now = pool.settled(limits, settings, n_pods)
        then = pool.settled(limits, settings, n_pods + MORE)
        if then.served < n_pods + MORE:
            answers["no: the node never has so many addresses"] += 1
        elif now.total - now.served < MORE:
            answers["later: EC2 is asked first"] += 1
        else:
            answers["at once"] += 1
    elapsed_s = time.perf_counter() - began
    for answer, n in sorted(answers.items()):
        print(f"{n:6}  {answer}")
    print(f"{n_nodes} nodes in {elapsed_s * 1000:.0f} ms", file=sys.stderr)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
