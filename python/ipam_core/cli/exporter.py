"""`ipam-core exporter`: subnets and nodes as Prometheus metrics."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ipam_core.cli._given import TypesFileOption, types_given
from ipam_core.cli._options import (
    AwsOption,
    ContextOption,
    EndpointUrlOption,
    JsonOption,
    KubeconfigOption,
    NodesRegionOption,
    ProfileOption,
    check_endpoint_url,
)
from ipam_core.cli._out import INTERRUPTED
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from ipam_core.exporter.exporter import Exporter, ReadSubnets
    from ipam_core.k8s.access import Access


def exporter(
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to serve /metrics; port 0: any free.")
    ] = "127.0.0.1:9465",
    once: Annotated[
        bool, typer.Option("--once", help="Print the metrics of now, and serve nothing.")
    ] = False,
    nodes_every: Annotated[
        str, typer.Option(metavar="DURATION", help="Show nodes and pods at most so often.")
    ] = "10s",
    ec2_every: Annotated[
        str, typer.Option(metavar="DURATION", help="Read the subnets from EC2 so often.")
    ] = "5m",
    max_ec2_calls: Annotated[
        int, typer.Option(min=1, help="EC2 requests in an hour, at most.")
    ] = 1200,
    aws: AwsOption = True,
    endpoint_url: EndpointUrlOption = None,
    profile: ProfileOption = None,
    region: NodesRegionOption = None,
    instance_types: TypesFileOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    as_json: JsonOption = False,
) -> int:
    """Serve a cluster's subnets and nodes as Prometheus metrics until it is interrupted.

    Of each subnet: free addresses, free and fragmented /28s, the score, how many nodes still
    fit, and addresses by owner and cluster. Of each node: how near it is to a stall, and the
    pods that wait for an address. Kubernetes and AWS are only read. deploy/ has alert rules
    and a dashboard. Exits 1 with --once if a source could not be read.

    Example: ipam-core exporter --listen 0.0.0.0:9465
    """
    from ipam_core.cli._warnings import warnings_told
    from ipam_core.exporter.ec2_calls import Ec2Calls
    from ipam_core.exporter.exporter import Exporter
    from ipam_core.exporter.figures import Figures
    from ipam_core.k8s.access import Access
    from ipam_core.k8s.judging import Judge

    host, port = _address(listen)
    calls = Ec2Calls(max_ec2_calls) if aws else None
    exported = Exporter(
        figures=Figures(calls),
        judge=Judge(types_given(None, instance_types)),
        read_subnets=None if calls is None else _reader(calls, profile, region, endpoint_url),
        calls=calls,
        nodes_every_s=_seconds(nodes_every, "--nodes-every"),
        ec2_every_s=_seconds(ec2_every, "--ec2-every"),
    )
    access = Access.find(kubeconfig=kubeconfig, context=context)
    # A failed call of EC2 is printed once, by the exporter.
    logging.getLogger("ipam_core.cloud").addHandler(logging.NullHandler())
    with warnings_told("ipam_core.exporter"):
        if once:
            return asyncio.run(_once(access, exported, as_json=as_json))
        return asyncio.run(_serve(access, exported, host, port, as_json=as_json))


def _address(listen: str) -> tuple[str, int]:
    from ipam_core.agent.addresses import split_address

    try:
        host, port = split_address(listen)
    except InputError as error:
        raise InputError(f"--listen {error}") from None
    return host or "0.0.0.0", port


def _seconds(text: str, option: str) -> float:
    from ipam_core.simulation.validation import duration_ns
    from ipam_core.units import NS

    found = duration_ns(text, option) / NS
    if found < 1:
        raise InputError(f"{option} is at least 1s, not {text!r}")
    return found


def _reader(
    calls: Any, profile: str | None, region: str | None, endpoint_url: str | None
) -> ReadSubnets:
    """Return what reads subnets; the credentials are looked for once, at the first read."""
    sessions: list[Any] = []

    def read(reports: Any) -> Any:
        from ipam_core.k8s.subnets import read_subnets, session_near

        if not sessions:
            session = session_near((each.node for each in reports), profile, region)
            calls.watch(session)
            sessions.append(session)
        return read_subnets(reports, session=sessions[0], endpoint_url=endpoint_url)

    check_endpoint_url(endpoint_url)
    return read


async def _once(access: Access, exported: Exporter, *, as_json: bool) -> int:
    from ipam_core.cli._out import print_json, print_metrics
    from ipam_core.exporter.figures import samples_of, text_of
    from ipam_core.k8s.client import Client
    from ipam_core.k8s.connection import Connection
    from ipam_core.k8s.reading import read_cluster

    async with Connection(access) as connection:
        await exported.read_once(await read_cluster(Client(connection)))
    if as_json:
        print_json({"metrics": samples_of(exported.figures)})
    else:
        print_metrics(text_of(exported.figures))
    return 0 if all(each.up for each in exported.figures.health.values()) else 1


async def _serve(access: Access, exported: Exporter, host: str, port: int, *, as_json: bool) -> int:
    from ipam_core.cli._out import finish_output, print_json_line, print_line
    from ipam_core.exporter.exporter import served
    from ipam_core.k8s.client import Client
    from ipam_core.k8s.connection import Connection
    from ipam_core.urls import in_url

    status = 0

    def end(with_status: int) -> None:
        nonlocal status
        status = with_status
        task.cancel()

    async with Connection(access) as connection, served(exported.figures, host, port) as at:
        url = f"http://{in_url(host)}:{at}/metrics"
        if as_json:
            print_json_line({"url": url})
        else:
            print_line(f"metrics {url}")
        finish_output()
        task = asyncio.ensure_future(exported.run(Client(connection)))
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, end, INTERRUPTED)
        loop.add_signal_handler(signal.SIGTERM, end, 0)
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()
    return status
