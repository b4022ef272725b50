"""Serve an agent for `bench_agent.py`: python agent_server.py FOLDER N_PODS [durable].

A process of its own, on a simulated node with room for the pods and 64 more. Its time passes
a hundred times as fast until the pool is as large as that.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from ipam_core.agent.agent import Agent
from ipam_core.agent.clock import Clock
from ipam_core.agent.config import AgentConfig
from ipam_core.agent.simulated_host import SimulatedHost
from ipam_core.instances import limits

SPARE = 64


def config_of(folder: Path, n_pods: int, durable: bool) -> AgentConfig:
    """Return the configuration of an agent for so many pods: /28s from 500 on."""
    wanted = n_pods + SPARE
    variables = {"WARM_IP_TARGET": str(wanted)}
    if n_pods > 500:
        variables |= {"ENABLE_PREFIX_DELEGATION": "true"}
    return AgentConfig.from_env(
        {**variables, "IP_COOLDOWN_PERIOD": "0", "DISABLE_METRICS": "true"},
        simulated=True,
        max_pods=2 * wanted,
        socket=folder / "ipamd.sock",
        log=str(folder / "ipamd.log"),
        introspection="127.0.0.1:0",
        checkpoint=folder / "ipam.db" if durable else None,
    )


def main() -> None:
    """Serve until the standard input ends; say when the pool is large enough."""
    folder, n_pods, durable = Path(sys.argv[1]), int(sys.argv[2]), "durable" in sys.argv[3:]
    clock = Clock(speed=100.0)
    with Agent(
        config_of(folder, n_pods, durable), SimulatedHost(limits("m5.24xlarge")), clock=clock
    ) as agent:
        agent.ready.wait(60)
        store = agent.loop.node.store
        while store.stats(clock.now_ns()).total < n_pods + SPARE:
            threading.Event().wait(0.02)
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
