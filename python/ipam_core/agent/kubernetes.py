"""What Kubernetes knows of a node, for an agent's threads; what is known outlives the API server.

It is read in a thread of its own, when it is asked for and the last answer is older than
`FRESH_S`: a pool that rests asks nothing. Whoever asks waits a second at most; an API server
that is slow or down is passed over, and what it said last holds.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Self

from ipam_core.agent.cluster_reader import Kr8sReader, ServiceAccountReader
from ipam_core.errors import CloudError, UnreachableError
from ipam_core.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core.agent.cluster_reader import ClusterConfig, ClusterReader, ClusterView
    from ipam_core.agent.surroundings import ClusterPod
    from ipam_core.effects import EniConfig

_log = logging.getLogger(__name__)

FRESH_S = 10.0
PATIENCE_S = 1.0
TIMEOUT_S = 5.0
"""How old an answer may be; how long who asks waits; how long a read takes at most."""
READ = "Kubernetes"
"""What errors name instead of an EC2 call."""


class Kubernetes:
    """What is known of a node, for threads. `start` it, and `stop` it.

    Every question raises `UnreachableError` only where nothing was ever read.
    """

    def __init__(
        self,
        reader: ClusterReader,
        *,
        fresh_s: float = FRESH_S,
        patience_s: float = PATIENCE_S,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._fresh_s = fresh_s
        self._patience_s = patience_s
        self._timeout_s = timeout_s
        self._clock = clock
        self._view: ClusterView | None = None
        self._read_s = float("-inf")
        self._failure = ""
        self._wanted = threading.Event()
        self._answered = threading.Condition()
        self._n_reads = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="kubernetes", daemon=True)

    @classmethod
    def of(cls, config: ClusterConfig) -> Self:
        """Return one that reads by the kubeconfig, else by the service account.

        Raises:
            MissingExtraError: there is a kubeconfig, and kr8s is not installed.
        """
        if config.kubeconfig is None:
            return cls(ServiceAccountReader(config))
        return cls(Kr8sReader(config, config.kubeconfig))

    def start(self) -> None:
        """Read from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more; a read under way is left."""
        self._stopping = True
        self._wanted.set()
        if self._thread.ident is not None:
            self._thread.join(self._timeout_s + 1)

    # --- questions --------------------------------------------------------------------

    def max_pods(self) -> int | None:
        """Return the node's capacity of pods; None: it does not say."""
        return self._known().max_pods

    def unschedulable(self) -> bool:
        """Return whether the node carries the taint of a cordoned node."""
        return self._known().unschedulable

    def eni_config_name(self) -> str:
        """Return the name of the node's ENIConfig: by a label or an annotation, or "default"."""
        return self._known().eni_config_name

    def eni_config(self) -> EniConfig:
        """Return the node's ENIConfig. Raises `CloudError` where there is none of its name."""
        view = self._known()
        if view.eni_config is None:
            raise CloudError(READ, "NotFound", f"no ENIConfig {quoted(view.eni_config_name)}")
        return view.eni_config

    def pods(self) -> tuple[ClusterPod, ...]:
        """Return the node's pods that have an address of their own."""
        return self._known().pods

    def _known(self) -> ClusterView:
        """Return what was read last, after a short wait for news where it is old."""
        if self._clock() - self._read_s > self._fresh_s:
            with self._answered:
                before = self._n_reads
                self._wanted.set()
                self._answered.wait_for(lambda: self._n_reads != before, self._patience_s)
        if self._view is None:
            raise UnreachableError(READ, "Unreachable", self._failure or "no answer yet")
        return self._view

    # --- the thread -------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._stopping:
                break
            self._read()
        self._reader.close()

    def _read(self) -> None:
        try:
            view = self._reader.read(self._timeout_s)
        except Exception as error:  # of any client library
            said = " ".join(str(error).split()) or f"no answer in {self._timeout_s:g} s"
            failure = f"{type(error).__name__}: {said}"
            if failure != self._failure:
                _log.warning("Kubernetes does not answer: %s; what is known goes on", failure)
            self._failure = failure
        else:
            if self._failure:
                _log.info("Kubernetes answers again")
            self._failure = ""
            self._view, self._read_s = view, self._clock()
        with self._answered:
            self._n_reads += 1
            self._answered.notify_all()
