"""An agent in this process, on a simulated node, and a plugin that asks it over its socket."""

from __future__ import annotations

import json
import threading
import urllib.request
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ipam_core.agent.agent import Agent
from ipam_core.agent.aws_host import AwsHost
from ipam_core.agent.clock import Clock
from ipam_core.agent.config import AgentConfig
from ipam_core.agent.protocol import rpc_pb2
from ipam_core.agent.protocol.client import Client
from ipam_core.agent.simulated_host import SimulatedHost
from ipam_core.instances import limits

if TYPE_CHECKING:
    from pathlib import Path

READY_S = 30.0


def config_in(folder: Path, *, variables: dict[str, str] | None = None, **more) -> AgentConfig:
    """Return the configuration of an agent whose files are in a folder, its ports free ones."""
    given = AgentConfig.from_env(
        variables or {},
        simulated=True,
        socket=folder / "ipamd.sock",
        log=str(folder / "ipamd.log"),
        introspection="127.0.0.1:0",
        metrics="127.0.0.1:0",
    )
    return replace(given, **more)


@contextmanager
def running(
    folder: Path,
    instance_type: str = "m5.large",
    *,
    variables: dict[str, str] | None = None,
    speed: float = 50.0,
    host=None,
    wait: bool = True,
    cluster=None,
    network=None,
    **more,
):
    """Give an agent that answers pods; a minute of its time passes in 60 / `speed` seconds.

    `network` is what sets up the host's network, where anything does.
    """
    host = host or SimulatedHost(limits(instance_type), seed=1)
    config = config_in(folder, variables=variables, **more)
    agent = Agent(config, host, clock=Clock(speed), cluster=cluster, host=network)
    with agent:
        if wait:
            assert agent.ready.wait(READY_S), (folder / "ipamd.log").read_text()
        yield agent


@contextmanager
def host_on(vpc, **more):
    """Give the host of a served VPC's only instance, as an agent on EC2 has it."""
    (imds_url,) = vpc.imds_urls.values()
    host = AwsHost(
        endpoint_url=vpc.endpoint_url, imds_url=imds_url, session=vpc.session, attempts=1, **more
    )
    try:
        yield host
    finally:
        host.close()


def client_of(agent: Agent) -> Client:
    """Return a client of an agent's socket."""
    return Client(agent.server.path)


def add_request(container: str, pod: str = "", **more) -> rpc_pb2.AddNetworkRequest:
    """Return what the plugin asks for a sandbox of a pod in the namespace `shop`."""
    return rpc_pb2.AddNetworkRequest(
        **{
            "K8S_POD_NAME": pod or f"pod-of-{container}",
            "K8S_POD_NAMESPACE": "shop",
            "K8S_POD_INFRA_CONTAINER_ID": container,
            "Netns": f"/var/run/netns/{container}",
            "IfName": "eth0",
            "NetworkName": "aws-cni",
            "ContainerID": container,
            **more,
        }
    )


def del_request(container: str, pod: str = "", **more) -> rpc_pb2.DelNetworkRequest:
    """Return what the plugin asks when a sandbox is gone."""
    return rpc_pb2.DelNetworkRequest(
        **{
            "K8S_POD_NAME": pod or f"pod-of-{container}",
            "K8S_POD_NAMESPACE": "shop",
            "K8S_POD_INFRA_CONTAINER_ID": container,
            "Reason": "PodDeleted",
            "IfName": "eth0",
            "NetworkName": "aws-cni",
            "ContainerID": container,
            **more,
        }
    )


def page_of(agent: Agent, path: str = "/v1/enis") -> str:
    """Return a page of the introspection port."""
    with urllib.request.urlopen(f"http://{agent.introspection.address}{path}", timeout=10) as page:
        return page.read().decode()


def enis_of(agent: Agent) -> dict:
    """Return what /v1/enis shows of network card 0."""
    return json.loads(page_of(agent))["0"]


def metrics_of(agent: Agent) -> str:
    """Return the metrics page."""
    url = f"http://{agent.metrics_page.address}/metrics"
    with urllib.request.urlopen(url, timeout=10) as page:
        return page.read().decode()


def log_of(agent: Agent) -> list[dict]:
    """Return the lines of the agent's log."""
    with open(agent.config.log) as log:  # noqa: PTH123  (a text)
        return [json.loads(line) for line in log]


def wait_until(holds, seconds: float = 20.0) -> bool:
    """Wait until something holds; return whether it came to that."""
    pause = threading.Event()
    for _ in range(round(seconds / 0.01)):
        if holds():
            return True
        pause.wait(0.01)
    return False
