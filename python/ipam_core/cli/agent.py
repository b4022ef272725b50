"""`ipam-core agent`: the agent itself, for a CNI plugin to ask, on a real or simulated node."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ipam_core.cli._options import (
    EniConfigOption,
    JsonOption,
    PolicyOption,
    SeedOption,
    eni_config_of,
    policy_named,
)
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam_core.agent.agent import Agent
    from ipam_core.agent.config import AgentConfig
    from ipam_core.agent.kubernetes import Kubernetes
    from ipam_core.agent.surroundings import Surroundings
    from ipam_core.cloud.host.operations import Host
    from ipam_core.effects import EniConfig

_ADDRESS = "HOST:PORT"
SimulateOption = Annotated[
    str | None,
    typer.Option("--simulate", metavar="TYPE", help="No cloud: simulate a node of this type."),
]
EndpointOption = Annotated[
    str | None, typer.Option(metavar="URL", help="Another EC2, such as that of ipam-core vpc.")
]
ImdsOption = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Another metadata service; see --endpoint-url."),
]
EnvOption = Annotated[
    list[str] | None,
    typer.Option("--env", "-e", metavar="NAME=VALUE", help="A variable over the environment's."),
]
MaxPodsOption = Annotated[
    int | None, typer.Option(min=1, help="The kubelet's maxPods; default: the type's usual one.")
]
SocketOption = Annotated[
    Path | None, typer.Option(metavar="PATH", help="The unix socket of the CNI plugin.")
]
TcpOption = Annotated[
    str | None, typer.Option(metavar=_ADDRESS, help="A port for it too, on the loopback.")
]
IntrospectionOption = Annotated[
    str | None, typer.Option(metavar=_ADDRESS, help="Where /v1/enis is; or unix:PATH.")
]
MetricsOption = Annotated[str | None, typer.Option(metavar=_ADDRESS, help="Where /metrics is.")]
CheckpointOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Keep who holds what in this file.")
]
LogOption = Annotated[
    str | None, typer.Option(metavar="FILE", help="The log; or stdout, or stderr.")
]
HostNetworkOption = Annotated[
    str | None,
    typer.Option(metavar="apply|record", help="Set up the host's links, routes and rules."),
]
KubeconfigOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Where Kubernetes is asked about the node.")
]
StrictVersionOption = Annotated[
    bool, typer.Option("--strict-version", help="Refuse plugins of other versions.")
]
SubnetLabelOption = Annotated[
    bool, typer.Option("--subnet-label", help="Metrics of addresses and ENIs for each subnet.")
]


def agent(
    simulate: SimulateOption = None,
    endpoint_url: EndpointOption = None,
    imds_url: ImdsOption = None,
    env: EnvOption = None,
    policy: PolicyOption = "vpc-cni",
    max_pods: MaxPodsOption = None,
    socket: SocketOption = None,
    tcp: TcpOption = None,
    introspection: IntrospectionOption = None,
    metrics: MetricsOption = None,
    checkpoint: CheckpointOption = None,
    log: LogOption = None,
    host_network: HostNetworkOption = None,
    kubeconfig: KubeconfigOption = None,
    eni_config: EniConfigOption = None,
    strict_version: StrictVersionOption = False,
    subnet_label: SubnetLabelOption = False,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> int:
    """Run the agent of a node: give pods addresses, and keep the pool by the targets.

    It takes ipamd's place for the VPC CNI's own plugin. Variables of the environment are read
    as ipamd reads them; an option goes over its variable. SIGTERM ends it.

    Example: ipam-core agent --simulate m8g.4xlarge -e MINIMUM_IP_TARGET=25
    """
    from ipam_core.agent.agent import Agent
    from ipam_core.agent.config import AgentConfig
    from ipam_core.agent.environment import variable

    if simulate is not None and (endpoint_url or imds_url):
        raise InputError("give --simulate, or --endpoint-url and --imds-url: not both")
    if simulate is not None and eni_config is not None:
        raise InputError("--eni-config: a simulated node has one subnet; give no --simulate")
    given = None if eni_config is None else eni_config_of(eni_config)
    variables = {**os.environ, **dict(variable(each) for each in env or [])}
    config = AgentConfig.from_env(
        variables,
        simulated=simulate is not None,
        policy=policy_named(policy),
        max_pods=max_pods,
        socket=socket,
        tcp=tcp,
        introspection=introspection,
        metrics=metrics,
        checkpoint=checkpoint,
        log=log,
        strict_version=strict_version,
        by_subnet=subnet_label,
        seed=seed,
    )
    with _held_signals():
        cluster = _kubernetes(variables, config, kubeconfig)
        if simulate is not None:
            surroundings = _simulated(simulate, config)
        else:
            surroundings = _on_ec2(variables, config, endpoint_url, imds_url, cluster, given)
        host = _host(host_network)
        if simulate is not None and host_network == "apply":
            raise InputError("--host-network apply: a simulated node has no links; use record")
        running = Agent(config, surroundings, cluster=cluster, host=host)
        if cluster is not None:
            cluster.start()
        try:
            return _run(running, simulate, as_json=as_json)
        finally:
            if cluster is not None:
                cluster.stop()


def _kubernetes(
    variables: dict[str, str], config: AgentConfig, kubeconfig: Path | None
) -> Kubernetes | None:
    """Return what knows the node's maxPods, taints and ENIConfig, where it can be asked."""
    from ipam_core.agent.cluster_reader import ClusterConfig
    from ipam_core.agent.kubernetes import Kubernetes

    where = ClusterConfig.from_env(
        variables,
        kubeconfig=kubeconfig,
        custom_networking=config.settings.custom_networking,
    )
    if where is None and kubeconfig is not None:
        raise InputError("--kubeconfig: MY_NODE_NAME must be set: the name of the node")
    return None if where is None else Kubernetes.of(where)


def _host(how: str | None) -> Host | None:
    """Return whose network is set up; None: nobody's."""
    if how is None:
        return None
    if how == "apply":
        from ipam_core.cloud.host.netlink import NetlinkHost

        return NetlinkHost()
    if how == "record":
        from ipam_core.cloud.host import Recorder

        return Recorder()
    raise InputError(f"--host-network {how!r}: apply, or record")


def _simulated(instance_type: str, config: AgentConfig) -> Surroundings:
    from ipam_core.agent.simulated_host import SimulatedHost
    from ipam_core.cloud.latency import Latencies
    from ipam_core.instances import limits

    kept = None
    if config.checkpoint is not None:  # what a pod holds must still be attached
        kept = config.checkpoint.with_name(f"{config.checkpoint.name}.vpc.json")
    return SimulatedHost(limits(instance_type), seed=config.seed, latencies=Latencies(), kept=kept)


def _on_ec2(
    variables: dict[str, str],
    config: AgentConfig,
    endpoint_url: str | None,
    imds_url: str | None,
    cluster: Kubernetes | None,
    eni_config: EniConfig | None,
) -> Surroundings:
    from ipam_core.agent.aws_host import AwsHost

    ec2_at = _url(endpoint_url, "--endpoint-url", variables, "AWS_EC2_ENDPOINT")
    imds_at = _url(imds_url, "--imds-url", variables, "AWS_EC2_METADATA_SERVICE_ENDPOINT")
    return AwsHost(
        endpoint_url=ec2_at,
        imds_url=imds_at,
        region=variables.get("AWS_REGION", ""),
        cluster_name=config.settings.cluster_name,
        cluster=cluster,
        eni_config=eni_config,
    )


def _url(given: str | None, option: str, variables: dict[str, str], variable: str) -> str:
    """Return an option's address, else a variable's, else "". Raises `InputError`."""
    from ipam_core.urls import check_http_url

    url = given or variables.get(variable, "")
    if url:
        check_http_url(url, option if given else variable)
    return url


_ENDING = (signal.SIGTERM, signal.SIGINT)
_WAITED_FOR = (*_ENDING, signal.SIGHUP)


@contextmanager
def _held_signals() -> Iterator[None]:
    """Hold the signals that `_run` waits for. Entered before any thread is made.

    A thread that did not hold them, such as those that NumPy makes, would end the process.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED_FOR)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(running: Agent, simulate: str | None, *, as_json: bool) -> int:
    """Run an agent until a signal or its own failure ends it; return the exit status."""
    from ipam_core.cli._out import print_error

    running.on_end = lambda: os.kill(os.getpid(), signal.SIGTERM)
    if not as_json:
        running.on_ready = lambda: _tell_ready(running)
    running.start()
    try:
        _tell(running, simulate, as_json=as_json)
        while signal.sigwait(_WAITED_FOR) == signal.SIGHUP:
            running.note_reload()
    finally:
        running.on_end = lambda: None
        # The next signal ends it at once, as signals do.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WAITED_FOR)
        running.stop()
    if running.failure is not None:
        print_error(str(running.failure))
        return 1
    return 0


def _tell(running: Agent, simulate: str | None, *, as_json: bool) -> None:
    """Print where the agent is asked, and wait for nothing."""
    from ipam_core.cli._out import finish_output, print_json, print_line

    config = running.config
    places = {"socket": str(config.socket)}
    if running.server.tcp is not None:
        places["tcp"] = running.server.tcp
    if running.introspection is not None:
        places["introspection"] = running.introspection.url("/v1/enis")
    if running.metrics_page is not None:
        places["metrics"] = running.metrics_page.url("/metrics")
    places["log"] = config.log
    if config.checkpoint is not None:
        places["checkpoint"] = str(config.checkpoint)
    if as_json:
        print_json(places)
    else:
        what = f"{simulate}, simulated" if simulate else "this instance"
        print_line(f"agent of {what}; policy {config.policy.name}")
        for name, place in places.items():
            print_line(f"{name:<14} {place}")
    finish_output()


def _tell_ready(running: Agent) -> None:
    from ipam_core.cli._out import finish_output, print_line

    node = running.loop.gate.running.node
    n_enis = sum(len(store.enis()) for store in node.stores)
    total = sum(store.stats(node.clock_ns()).total for store in node.stores)
    print_line(f"ready          {total} addresses on {n_enis} of {node.max_enis} ENIs")
    finish_output()
