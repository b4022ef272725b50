"""The incident on a running agent: its socket, its ports, its log; its time passes faster."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import ProxyHandler, build_opener

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam_core.agent.agent import Agent
    from ipam_core.agent.kubelet import Kubelet, Outcome
    from ipam_core.agent.pod_book import PodBook
    from ipam_core.diagnosis.doctor.diagnosis import Diagnosis
    from ipam_core.policy import Policy

INSTANCE_TYPE = "m8g.4xlarge"
SPEED = 10.0
"""Seconds of the agent's clock that pass in one."""
SPEED_OF_PROMISE = 2.0
"""The same where a wait is measured: what this machine takes counts twice only."""
READY_S = 30.0
SERVED_WITHIN_S = 10.0
"""The policy ipam-core promises that pod 26 waits no longer."""
# A proxy of the environment is not for an agent of one's own.
_opener = build_opener(ProxyHandler({}))
STALLING, FIXED = {"MINIMUM_IP_TARGET": "25"}, {"MINIMUM_IP_TARGET": "25", "WARM_IP_TARGET": "10"}


class LiveNode:
    """A simulated node in a folder of its own, on which agents start and end, and its pods."""

    def __init__(self, folder: Path, seed: int, speed: float) -> None:
        from ipam_core.agent.pod_book import PodBook
        from ipam_core.agent.simulated_host import SimulatedHost
        from ipam_core.cloud.latency import Latencies
        from ipam_core.instances import limits

        self.folder = folder
        self.speed = speed
        self._seed = seed
        self._book = PodBook()
        self._host = SimulatedHost(
            limits(INSTANCE_TYPE),
            seed=seed,
            latencies=Latencies(),
            sleep=lambda seconds: time.sleep(seconds / speed),
        )

    def close(self) -> None:
        """Forget the pods."""
        self._book.close()

    @contextmanager
    def agent(
        self, policy: Policy, variables: dict[str, str], *, backoff_s: float = 10
    ) -> Iterator[LiveAgent]:
        """Run an agent with these variables; it goes on with the checkpoint of the one before.

        Its pods are tried again after so long at least.
        """
        from ipam_core.agent.agent import Agent
        from ipam_core.agent.clock import Clock
        from ipam_core.agent.config import AgentConfig
        from ipam_core.agent.kubelet import Kubelet
        from ipam_core.agent.protocol.client import Client

        config = AgentConfig.from_env(
            variables,
            simulated=True,
            policy=policy,
            socket=self.folder / "ipamd.sock",
            introspection="127.0.0.1:0",
            metrics="127.0.0.1:0",
            checkpoint=self.folder / "ipam.db",
            log=str(self.folder / "ipamd.log"),
            seed=self._seed,
        )
        with (
            Agent(config, self._host, clock=Clock(self.speed)) as agent,
            Client(config.socket) as client,
            Kubelet(
                client, self._book, at_once=1, backoff_s=backoff_s / self.speed, seed=1
            ) as kubelet,
        ):
            if not agent.ready.wait(READY_S):
                raise TimeoutError(f"the agent did not start: {config.log}")
            yield LiveAgent(agent, kubelet, self._book, self.speed)


class LiveAgent:
    """An agent that runs, and what asks it."""

    def __init__(self, agent: Agent, kubelet: Kubelet, book: PodBook, speed: float) -> None:
        self._agent = agent
        self._speed = speed
        self._kubelet = kubelet
        self._book = book

    def add(self, count: int, *, patience_s: float = 60) -> Outcome:
        """Start pods, and try those that wait again, for so long on the agent's clock."""
        pods = [
            *self._book.waiting(),
            *self._book.add(count, name="pod", namespace="default", now=time.time()),
        ]
        return self._kubelet.start(pods, patience_s=patience_s / self._speed)

    def enis(self) -> dict[str, Any]:
        """Return what /v1/enis shows."""
        assert self._agent.introspection is not None
        with _opener.open(self._agent.introspection.url("/v1/enis"), timeout=10) as page:
            found: dict[str, Any] = json.load(page)
        return found

    def settle(self, seconds: float) -> None:
        """Let so much of the agent's time pass."""
        time.sleep(seconds / self._speed)


@contextmanager
def _node(seed: int, speed: float) -> Iterator[LiveNode]:
    """Give a node in a folder of its own, which goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="ipam-core-"))
    try:
        node = LiveNode(folder, seed, speed)
        try:
            yield node
        finally:
            node.close()
    finally:
        shutil.rmtree(folder)


class Live:
    """The whole story, played. `passed`: it went as it should."""

    def __init__(self, seed: int) -> None:
        from ipam_core.policy import IPAM_CORE, VPC_CNI

        with _node(seed, SPEED) as node:
            log, enis = node.folder / "ipamd.log", node.folder / "enis.json"
            with node.agent(VPC_CNI, STALLING) as agent:
                self.stalled = agent.add(26, patience_s=30)
                self.enis = {"stalled": agent.enis()}
                self.log = _refusals(log)
                enis.write_text(json.dumps(self.enis["stalled"]), "utf-8")
                self.diagnosis = _doctor(log, enis)
            with node.agent(VPC_CNI, FIXED) as agent:
                self.restarted = agent.add(4)
                agent.settle(15)
                self.enis["restarted"] = agent.enis()
        with (
            _node(seed, SPEED_OF_PROMISE) as node,
            node.agent(IPAM_CORE, STALLING, backoff_s=2) as agent,
        ):
            self.better = agent.add(26)

    @property
    def longest_wait_s(self) -> float:
        """How long a pod waited under the policy ipam-core, on the agent's clock."""
        waits_s = (one.waited_s for one in self.better.started)
        return max(waits_s, default=0.0) * SPEED_OF_PROMISE

    @property
    def passed(self) -> bool:
        """Whether pod 26 waited, why was found, and both ways out let it start."""
        return (
            [one.pod.name for one in self.stalled.waiting] == ["pod-26"]
            and not self.diagnosis.healthy
            and not self.restarted.waiting
            and not self.better.waiting
            and self.longest_wait_s <= SERVED_WITHIN_S
        )


def _refusals(log: Path) -> list[str]:
    """Return the lines of a log in which a pod is refused."""
    lines = log.read_text("utf-8").splitlines()
    return [json.loads(line)["msg"] for line in lines if "Success: false" in line]


def _doctor(*paths: Path) -> Diagnosis:
    from ipam_core.diagnosis.doctor.diagnosis import diagnose
    from ipam_core.diagnosis.inputs.collect import read_case

    return diagnose(read_case(list(paths)))


# --- what it shows ---------------------------------------------------------------------------


def live_json(live: Live) -> dict[str, Any]:
    """Return the story as JSON has it."""
    return {
        "passed": live.passed,
        "waiting": [str(one.pod) for one in live.stalled.waiting],
        "log": live.log,
        "verdict": live.diagnosis.verdict(),
        "served_after_restart": [str(one.pod) for one in live.restarted.served],
        "longest_wait_s": round(live.longest_wait_s, 1),
        "enis": live.enis,
    }


def tell(live: Live) -> None:
    """Tell the story on one screen."""
    from ipam_core.cli._out import print_empty, print_text
    from ipam_core.cli._pool_rows import pool_rows
    from ipam_core.instances import limits

    n_slots = limits(INSTANCE_TYPE).slots

    def command(text: str) -> None:
        print_text(("$ ", "dim"), (text, "green"), whole=True)

    print_empty()
    print_text(
        ("The same on a running agent", "bold"),
        f": over its socket, its ports and its log; time passes {SPEED:g} times as fast.",
    )
    command(f"ipam-core agent --simulate {INSTANCE_TYPE} -e MINIMUM_IP_TARGET=25")
    command("ipam-core pods add 26")
    _tell_pods(live.stalled)
    command("curl -s 127.0.0.1:61679/v1/enis; grep false ipamd.log")
    for row in pool_rows(live.enis["stalled"]["0"], n_slots):
        print_text(row)
    for refusal in live.log[:1]:
        print_text(refusal, indent="  ")
    command("ipam-core doctor enis.json ipamd.log")
    print_text((live.diagnosis.verdict(), "bold"))
    fixes = [each.fix for each in live.diagnosis.found[:1] if each.fix]
    for fix in fixes[0].commands if fixes else ():
        print_text(fix, indent="  ", whole=True)
    command("ipam-core agent ... -e MINIMUM_IP_TARGET=25 -e WARM_IP_TARGET=10  # restarted")
    command("ipam-core pods retry; ipam-core pods add 4")
    for row in pool_rows(live.enis["restarted"]["0"], n_slots):
        print_text(row)
    command("ipam-core agent ... -e MINIMUM_IP_TARGET=25 --policy ipam-core")
    command("ipam-core pods add 26 --backoff 2")
    _tell_pods(live.better)
    print_text(f"the longest wait was {live.longest_wait_s:.1f} s")


def _tell_pods(outcome: Outcome) -> None:
    from ipam_core.cli._out import print_text

    waiting = ", ".join(str(one.pod) for one in outcome.waiting)
    print_text(
        f"{len(outcome.served)} pods got an address"
        + (f", {len(outcome.waiting)} waits: {waiting}" if waiting else "")
    )
