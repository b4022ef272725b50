"""An agent: its loop, its gRPC server, its pages, its log; started and ended in order."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

from ipam_core.agent.clock import Clock
from ipam_core.agent.introspection import Introspection
from ipam_core.agent.log import AgentLog
from ipam_core.agent.loop import Loop
from ipam_core.agent.metrics import CONTENT_TYPE, Metrics
from ipam_core.agent.server import RpcServer
from ipam_core.agent.service import CniBackend, ConfigServerBackend
from ipam_core.agent.web import Page, WebServer
from ipam_core.checkpoint import Checkpoint
from ipam_core.errors import CheckpointError
from ipam_core.ipamd import log_lines as lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core.agent.config import AgentConfig
    from ipam_core.agent.surroundings import Cluster, Surroundings
    from ipam_core.cloud.host.operations import Host
    from ipam_core.errors import InputError

_log = logging.getLogger(__name__)

GRACE_S = 10.0
"""So long requests in flight are waited for, and the call under way: half of what Kubernetes
leaves a pod that ends, less what closing takes."""


class Agent:
    """One agent on one node. Use it in a `with`, or `start` and `stop` it.

    Everything is bound in `start`, so that what cannot be served is known at once; pods are
    answered when the node has started, which may be later. `cluster` is what Kubernetes knows
    of the node, and `host` whose network it sets up; without them it does without.

    Attributes:
        on_ready: called when pods are answered, in the loop's thread.
        on_end: called when the loop has ended, by itself or because of `stop`.
        ready: set when pods are answered.
        server: the gRPC server.
        introspection, metrics_page: the pages, where they are served.
        loop: the loop.
    """

    def __init__(
        self,
        config: AgentConfig,
        surroundings: Surroundings,
        *,
        clock: Clock | None = None,
        cluster: Cluster | None = None,
        host: Host | None = None,
    ) -> None:
        self.config = config
        self.on_ready: Callable[[], None] = lambda: None
        self.on_end: Callable[[], None] = lambda: None
        self.ready: threading.Event = threading.Event()
        self.introspection: WebServer | None = None
        self.metrics_page: WebServer | None = None
        self.server: RpcServer
        self.loop: Loop
        self._surroundings = surroundings
        self._clock = clock or Clock()
        self._cluster = cluster
        self._host = host
        self._log: AgentLog | None = None
        self._checkpoint: Checkpoint | None = None
        self._stopped = False

    @property
    def failure(self) -> InputError | None:
        """Why the agent ended by itself; None: it did not."""
        return self.loop.failure

    def start(self) -> None:
        """Bind and start everything.

        Raises:
            InputError: an address or a file cannot be served or written, or another agent
                serves the socket.
            CheckpointError: the checkpoint cannot be opened.
            OSError: the socket's folder cannot be written.
        """
        with ExitStack() as undo:
            self._start(undo)
            undo.pop_all()

    def _start(self, undo: ExitStack) -> None:
        config = self.config
        self._log = undo.enter_context(AgentLog(config.log, config.log_level))
        lines.START.say(_log, version=config.version)
        if config.without_effect:
            _log.warning("without effect in this agent: %s", ", ".join(config.without_effect))
        metrics = Metrics(version=config.version, by_subnet=config.by_subnet)
        if config.checkpoint is not None:
            self._checkpoint = undo.enter_context(Checkpoint(config.checkpoint))
        self.loop = Loop(
            config,
            self._surroundings,
            clock=self._clock,
            metrics=metrics,
            checkpoint=self._checkpoint,
            cluster=self._cluster,
            host=self._host,
            on_ready=self._on_ready,
            on_end=self._on_end,
        )
        cni = CniBackend(
            self.loop.gate,
            network=config.network,
            facts=self.loop.facts,
            metrics=metrics,
            own_version=config.own_version,
            on_released=self.loop.released,
        )
        policy = ConfigServerBackend(
            network=config.network,
            multi_nic=config.settings.enable_multi_nic,
            facts=self.loop.facts,
        )
        self.server = RpcServer(
            {"CNIBackend": cni, "ConfigServerBackend": policy},
            socket_path=config.socket,
            tcp=config.tcp,
        )
        undo.callback(self.server.stop, 0)
        if config.introspection is not None:
            pages = Introspection(
                node=lambda: self.loop.node,
                settings=config.settings,
                network=config.network,
                cluster=self._cluster,
            )
            self.introspection = WebServer(config.introspection, pages.answer, name="introspection")
            undo.callback(self.introspection.close)
            lines.INTROSPECTION.say(_log, address=self.introspection.address)
        if config.metrics is not None:
            self.metrics_page = WebServer(
                config.metrics, lambda path: _metrics_page(metrics, path), name="metrics"
            )
            undo.callback(self.metrics_page.close)
            lines.METRICS.say(_log, port=self.metrics_page.port)
        self.server.start()
        lines.SERVING.say(_log, version=config.version, path=self.server.path)
        self.loop.start()

    def _on_ready(self) -> None:
        self.server.set_serving(True)
        self.ready.set()
        self.on_ready()

    def _on_end(self) -> None:
        self.on_end()

    def note_reload(self) -> None:
        """Say that settings are read at the start alone (SIGHUP, as upstream's agent)."""
        _log.info("SIGHUP: settings are read at the start; restart the agent to change them")

    def stop(self, grace_s: float = GRACE_S) -> None:
        """Ask EC2 for nothing more, answer what is in flight, close everything."""
        if self._stopped:
            return
        self._stopped = True
        lines.SHUTDOWN.say(_log)
        self.loop.stop(grace_s)
        self.server.stop(grace_s)
        for page in (self.introspection, self.metrics_page):
            if page is not None:
                page.close()
        if self._checkpoint is not None:
            try:
                self._checkpoint.close()
            except CheckpointError as error:
                lines.NOT_WRITTEN.say(_log, error=error)
        if self._log is not None:
            self._log.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def _metrics_page(metrics: Metrics, path: str) -> Page:
    if path != "/metrics":
        return Page(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n")
    return Page(HTTPStatus.OK, CONTENT_TYPE, metrics.text())
