"""examples/live_node.py against moto: it serves, keeps its pool warm, and outlives a kill."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from ipam_core.tags import NODE_TAG
from support.python import Process

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "live_node.py"

pytestmark = pytest.mark.slow


class Agent:
    """The example in a process of its own, which looks after its pool more often."""

    def __init__(self, world, checkpoint):
        arguments = [checkpoint, world.instance_id, world.proxy_url]
        text = EXAMPLE.read_text()
        assert text.count("stopped.wait(5)") == 1
        quick = checkpoint.with_name("live_node.py")
        quick.write_text(text.replace("stopped.wait(5)", "stopped.wait(0.2)"))
        self.process = Process(
            *(quick, *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        return self.process.stdout.readline().strip()

    def end(self, *, kill=False):
        if kill:
            self.process.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(timeout=30)


def wait_for(condition, seconds=30):
    end_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end_s, "it did not come to pass"
        time.sleep(0.2)


def test_the_example_is_short():
    assert len(EXAMPLE.read_text().splitlines()) < 60


def test_the_example_serves_pods_and_remembers_them_over_a_kill(world, tmp_path, monkeypatch):
    monkeypatch.setenv("WARM_IP_TARGET", "12")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")

    def secondary():
        return sum(len(eni["PrivateIpAddresses"]) - 1 for eni in world.enis().values())

    agent = Agent(world, tmp_path / "pods.db")
    try:
        given = {n: agent.ask(f"add container-{n} default/pod-{n}") for n in range(10)}
        assert len(set(given.values())) == 10
        assert agent.ask("add container-3 default/pod-3") == given[3]
        assert agent.ask("del nobody").startswith("error: ")
        wait_for(lambda: secondary() == 22)
    finally:
        agent.end(kill=True)

    agent = Agent(world, tmp_path / "pods.db")
    try:
        again = {n: agent.ask(f"add container-{n} default/pod-{n}") for n in range(10)}
        assert again == given
        assert agent.ask("del container-3") == given[3]
        assert agent.ask("add container-10 default/pod-10") not in given.values()
    finally:
        assert agent.end() == 0
    for eni in world.enis().values():
        assert {"Key": NODE_TAG, "Value": world.instance_id} in eni["TagSet"]
