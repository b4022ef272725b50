"""`ipam-core cluster`: every node of a cluster, live."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

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
from ipam_core.cli._out import print_json, print_json_line, print_yaml, waiting
from ipam_core.errors import InputError, IpamError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core.k8s.access import Access
    from ipam_core.k8s.judging import Judge, NodeReport
    from ipam_core.k8s.overview import Overview
    from ipam_core.k8s.reading import ClusterReading
    from ipam_core.k8s.subnets import SubnetState

    _Subnets = tuple[list[SubnetState], list[str]]

FORMS = ("text", "wide", "json", "yaml")
AWS_EVERY_S = 300.0
"""With --watch, how old what is known of the subnets may be."""


def cluster(
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Ask each aws-node pod for its pool (pods/proxy).")
    ] = False,
    aws: AwsOption = True,
    endpoint_url: EndpointUrlOption = None,
    profile: ProfileOption = None,
    region: NodesRegionOption = None,
    instance_types: TypesFileOption = None,
    output: Annotated[
        str, typer.Option("--output", "-o", help="text, wide (a line a node), json or yaml.")
    ] = "text",
    as_json: JsonOption = False,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Show it again whenever something changes.")
    ] = False,
) -> int:
    """Show which nodes of a cluster are stuck, or will be, and what is left in their subnets.

    Reads Kubernetes and AWS, and changes nothing. What a node holds is what the model says for
    its pods, or with --metrics what its agent reports. docs/cluster.md has the permissions.

    Exits 1 if a node is or will be stuck, pods wait for long, a subnet has no room, or nodes,
    pods or settings could not be read.

    Example: ipam-core cluster --context prod --metrics
    """
    from ipam_core.k8s.access import Access
    from ipam_core.k8s.judging import Judge

    form = "json" if as_json else output
    if form not in FORMS:
        raise InputError(f"--output {output!r}: {', '.join(FORMS)}")
    check_endpoint_url(endpoint_url)
    access = Access.find(kubeconfig=kubeconfig, context=context)
    # A failed call is reported once, in the output.
    logging.getLogger("ipam_core").addHandler(logging.NullHandler())
    reader = _Reader(
        Judge(types_given(None, instance_types)),
        (lambda reports: _subnets(reports, profile, region, endpoint_url)) if aws else None,
    )
    if watch:
        return asyncio.run(_watch(access, reader, metrics, form))
    with waiting("Reading the cluster"):
        overview = asyncio.run(_read(access, reader, metrics))
    _print(overview, form)
    return 1 if overview.is_problem else 0


class _Reader:
    """Judges a reading, and reads the subnets of its nodes where they are old, in a thread."""

    def __init__(
        self,
        judge: Judge,
        subnets: Callable[[list[NodeReport]], _Subnets] | None,
    ) -> None:
        self._judge = judge
        self._subnets = subnets
        self._known: _Subnets = ([], [])
        self._began_s = float("-inf")
        self._under_way: asyncio.Task[_Subnets] | None = None

    async def overview(self, reading: ClusterReading) -> Overview:
        from ipam_core.k8s.overview import Overview

        reports = self._judge.nodes(reading, time.time())
        subnets, missing = await self._subnets_of(reports)
        return Overview(
            reading=reading,
            nodes=reports,
            subnets=subnets,
            unread=(*reading.unread, *missing),
            aws=self._subnets is not None,
        )

    async def _subnets_of(self, reports: list[NodeReport]) -> _Subnets:
        """Return what is known of the subnets; only the first time it is waited for."""
        if self._subnets is None:
            return self._known
        is_first = self._under_way is None
        is_old = time.monotonic() - self._began_s > AWS_EVERY_S
        if self._under_way is None or (is_old and self._under_way.done()):
            self._began_s = time.monotonic()
            self._under_way = asyncio.create_task(asyncio.to_thread(self._subnets, reports))
        if is_first or self._under_way.done():
            self._known = await self._under_way
        return self._known


async def _read(access: Access, reader: _Reader, metrics: bool) -> Overview:
    from ipam_core.k8s.client import Client
    from ipam_core.k8s.connection import Connection
    from ipam_core.k8s.reading import read_cluster

    async with Connection(access) as connection:
        reading = await read_cluster(Client(connection), metrics=metrics)
    return await reader.overview(reading)


async def _watch(access: Access, reader: _Reader, metrics: bool, form: str) -> int:
    from ipam_core.cli._out import finish_output
    from ipam_core.k8s.client import Client
    from ipam_core.k8s.connection import Connection
    from ipam_core.k8s.watching import watch_cluster

    async with (
        Connection(access) as connection,
        aclosing(watch_cluster(Client(connection), metrics=metrics)) as readings,
    ):
        async for reading in readings:
            _print(await reader.overview(reading), form, again=True)
            finish_output()  # whoever reads it, reads it now
    return 0


def _subnets(
    reports: list[NodeReport], profile: str | None, region: str | None, endpoint_url: str | None
) -> _Subnets:
    """Read the subnets; what goes wrong is one line of what is missing."""
    try:
        from ipam_core.k8s.subnets import read_subnets, session_near

        session = session_near((each.node for each in reports), profile, region)
        return read_subnets(reports, session=session, endpoint_url=endpoint_url)
    except IpamError as error:
        return [], [f"subnets: {error} (--no-aws leaves them out)"]


def _print(overview: Overview, form: str, *, again: bool = False) -> None:
    from ipam_core.cli._cluster_text import print_overview, print_wide

    if form == "json":
        (print_json_line if again else print_json)(overview.to_json())
    elif form == "yaml":
        print_yaml(overview.to_json())
    elif form == "wide":
        print_wide(overview, again=again)
    else:
        print_overview(overview, again=again)
