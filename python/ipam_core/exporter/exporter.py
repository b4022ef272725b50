"""The exporter: a cluster followed, its subnets read on a schedule, and the HTTP port.

Nodes and pods are followed by watches: what they show is a few seconds old. Subnets are read
every `ec2_every_s`, in a thread, within the bound on calls. What cannot be read leaves the last
figures, and `exporter_up` at 0.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipam_core.errors import InputError, IpamError
from ipam_core.k8s.watching import watch_cluster
from ipam_core.urls import in_url

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from ipam_core.exporter.ec2_calls import Ec2Calls
    from ipam_core.exporter.figures import Figures
    from ipam_core.k8s.client import Client
    from ipam_core.k8s.judging import Judge, NodeReport
    from ipam_core.k8s.reading import ClusterReading
    from ipam_core.k8s.subnets import SubnetState

    ReadSubnets = Callable[[Sequence[NodeReport]], tuple[list[SubnetState], list[str]]]

_log = logging.getLogger(__name__)

NODES_EVERY_S = 10.0
EC2_EVERY_S = 300.0
RETRY_S = 30.0
"""After so long a cluster that refused is asked again."""
MOST_CALLS = 1200
"""EC2 requests in an hour: one every three seconds."""


@dataclass(slots=True, kw_only=True)
class Exporter:
    """Keeps the figures of one cluster up to date.

    `read_subnets` reads the subnets of nodes, and names what is missing; None: subnets are not
    shown. `calls` counts its requests.
    """

    figures: Figures
    judge: Judge
    read_subnets: ReadSubnets | None = None
    calls: Ec2Calls | None = None
    nodes_every_s: float = NODES_EVERY_S
    ec2_every_s: float = EC2_EVERY_S
    _reports: Sequence[NodeReport] = ()

    async def read_once(self, reading: ClusterReading) -> None:
        """Show one reading of the cluster, and its subnets."""
        self._show(reading, time.monotonic())
        await self._read_subnets()

    async def run(self, client: Client) -> None:
        """Keep everything up to date until this is cancelled.

        A cluster that refuses is asked again after half a minute; each new reason is logged.
        A fault of its own in either half is raised: old figures would else be shown for ever.
        """
        halves = [asyncio.create_task(each) for each in (self._nodes(client), self._subnets())]
        try:
            ended, _ = await asyncio.wait(halves, return_when=asyncio.FIRST_EXCEPTION)
            for each in ended:
                each.result()
        finally:
            for each in halves:
                each.cancel()
            await asyncio.gather(*halves, return_exceptions=True)

    async def _nodes(self, client: Client) -> None:
        while True:
            try:
                followed = watch_cluster(client, every_s=self.nodes_every_s)
                began_s = time.monotonic()
                async with aclosing(followed) as readings:
                    async for reading in readings:
                        self._show(reading, began_s)
                        began_s = time.monotonic()
            except IpamError as error:
                self.figures.health["kubernetes"].up = False
                _log.warning("Kubernetes: %s", error)
            await asyncio.sleep(RETRY_S)

    def _show(self, reading: ClusterReading, began_s: float) -> None:
        health = self.figures.health["kubernetes"]
        unread = list(reading.unread)
        self._reports = self.judge.nodes(reading, time.time())
        self.figures.show_nodes(self._reports, unscheduled=reading.pods.n_unscheduled)
        if unread and health.up:
            _log.warning("not read: %s", "; ".join(unread))
        health.up = not unread
        health.took_s = time.monotonic() - began_s
        if health.up:
            health.read_at_s = time.time()

    async def _subnets(self) -> None:
        while self.read_subnets is not None:
            if not self._reports:
                await asyncio.sleep(min(self.nodes_every_s, 1.0))
                continue
            await self._read_subnets()
            await asyncio.sleep(self.ec2_every_s)

    async def _read_subnets(self) -> None:
        if self.read_subnets is None or not self._reports:
            return
        if self.calls is not None and not self.calls.begin():
            return
        health = self.figures.health["ec2"]
        began_s = time.monotonic()
        try:
            states, missing = await asyncio.to_thread(self.read_subnets, self._reports)
        except IpamError as error:
            states, missing = [], [str(error)]
        finally:
            if self.calls is not None:
                self.calls.end()
        if states:
            self.figures.show_subnets(states)
        for each in missing:
            _log.warning("EC2: %s", each)
        health.up = bool(states) and not missing
        health.took_s = time.monotonic() - began_s
        if health.up:
            health.read_at_s = time.time()


@asynccontextmanager
async def served(figures: Figures, host: str, port: int) -> AsyncGenerator[int, None]:
    """Serve figures on an HTTP port at /metrics; give the port.

    Raises `InputError`: nobody can listen there.
    """
    from prometheus_client import start_http_server  # noqa: PLC0415
    from prometheus_client.registry import CollectorRegistry  # noqa: PLC0415

    registry = CollectorRegistry()
    registry.register(figures)
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise InputError(f"{in_url(host)}:{port}: {error.strerror or error}") from error
    try:
        yield server.server_port
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()
