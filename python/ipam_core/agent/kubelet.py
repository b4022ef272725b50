"""Start and end pods through an agent, as the kubelet, the runtime and the CNI plugin do.

- Each try has a new sandbox: a container runtime makes one for every RunPodSandbox.
- After an ADD that failed, the runtime sends a DEL for that sandbox at once.
- The kubelet tries again after 10 to 15 s (`simulation.kubelet`).
- A DEL for a sandbox that holds nothing is fine.

Source: containerd internal/cri/server/sandbox_run.go; cmd/routed-eni-cni-plugin/cni.go of
aws/amazon-vpc-cni-k8s.
"""

from __future__ import annotations

import heapq
import random
import secrets
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ipam_core._extras import extra
from ipam_core.agent.protocol import rpc_pb2
from ipam_core.agent.protocol.client import UNKNOWN_POD
from ipam_core.simulation import kubelet

with extra("agent", "asking an agent for pods"):
    import grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ipam_core.agent.pod_book import BookedPod, PodBook
    from ipam_core.agent.protocol.client import Client

AT_ONCE = 16
IFNAME, NETWORK = "eth0", "aws-cni"
NO_ADDRESS = "failed to assign an IP address to container"
"""What the plugin says of a reply without success."""
DELETED = "PodDeleted"
"""The reason of a DEL."""


@dataclass(slots=True)
class Started:
    """What became of a pod: `address` "" where it waits, `error` what the last try met."""

    pod: BookedPod
    began_s: float
    address: str = ""
    device: int = 0
    n_tries: int = 0
    waited_s: float = 0.0
    error: str = ""


@dataclass(slots=True)
class Outcome:
    """What a command did. `add_s` and `del_s` are the times of requests, failed ones too."""

    started: list[Started] = field(default_factory=list)
    ended: int = 0
    not_ended: int = 0
    error: str = ""
    add_s: list[float] = field(default_factory=list)
    del_s: list[float] = field(default_factory=list)
    took_s: float = 0.0

    @property
    def served(self) -> list[Started]:
        """The pods that got an address."""
        return [each for each in self.started if each.address]

    @property
    def waiting(self) -> list[Started]:
        """The pods that wait."""
        return [each for each in self.started if not each.address]


class Kubelet:
    """Starts and ends the pods of a book through an agent. Close it, or use it in a `with`.

    `at_once` requests are made at the same time. `backoff_s` is the shortest wait between two
    tries of a pod. `version` is what the plugin says it is. `clock` gives seconds, `sleep`
    waits, `seed` decides the jitter.
    """

    def __init__(
        self,
        client: Client,
        book: PodBook,
        *,
        at_once: int = AT_ONCE,
        backoff_s: float = kubelet.BACKOFF_S,
        version: str = "",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        seed: int | None = None,
    ) -> None:
        self._client = client
        self._book = book
        self._booking = threading.Lock()
        self._at_once = at_once
        self._backoff_s = backoff_s
        self._version = version
        self._clock = clock
        self._sleep = sleep
        self._chance = random.Random(seed)
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="kubelet")

    def close(self) -> None:
        """Wait for the requests under way; make no more."""
        self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Kubelet:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # --- pods -------------------------------------------------------------------------

    def start(
        self,
        pods: Sequence[BookedPod],
        *,
        patience_s: float,
        outcome: Outcome | None = None,
        progress: Callable[[float], None] = lambda _: None,
    ) -> Outcome:
        """Ask for an address for each pod, again and again for `patience_s`.

        A try that is due later is not made: the pod waits in the book. `progress` gets the
        share of pods that have an address.
        """
        outcome = outcome or Outcome()
        began_s = self._clock()
        tried = [Started(pod, began_s) for pod in pods]
        outcome.started += tried
        due: list[tuple[float, int, Started]] = [(began_s, n, s) for n, s in enumerate(tried)]
        under_way: dict[Future[bool], int] = {}
        n_served = 0
        while due or under_way:
            now_s = self._clock()
            while due and due[0][0] <= now_s and len(under_way) < self._at_once:
                _, number, one = heapq.heappop(due)
                under_way[self._pool.submit(self._try, one, outcome)] = number
            if not under_way:
                if due[0][0] > began_s + patience_s:
                    break
                self._sleep(max(due[0][0] - now_s, 0))
                continue
            later_s = due[0][0] - now_s if due and len(under_way) < self._at_once else None
            for future in wait(under_way, later_s, FIRST_COMPLETED).done:
                number = under_way.pop(future)
                if future.result():
                    n_served += 1
                    progress(n_served / len(tried))
                else:
                    again_s = self._clock() + kubelet.backoff_s(self._chance, self._backoff_s)
                    heapq.heappush(due, (again_s, number, tried[number]))
        outcome.took_s += self._clock() - began_s
        return outcome

    def end(
        self,
        pods: Iterable[BookedPod],
        *,
        outcome: Outcome | None = None,
        progress: Callable[[float], None] = lambda _: None,
    ) -> Outcome:
        """Have the agent release what these pods hold, and whatever else is to be ended.

        What the agent does not release now stays in the book, for the next time.
        """
        outcome = outcome or Outcome()
        began_s = self._clock()
        self._book.strike(pods)
        to_end = self._book.to_end()
        asks = [self._pool.submit(self._end, *each, outcome) for each in to_end]
        for n_done, ask in enumerate(asks, 1):
            error = ask.result()
            outcome.ended += not error
            outcome.not_ended += bool(error)
            outcome.error = error or outcome.error
            progress(n_done / len(asks))
        outcome.took_s += self._clock() - began_s
        return outcome

    # --- requests ---------------------------------------------------------------------

    def _try(self, one: Started, outcome: Outcome) -> bool:
        """Ask for an address for a new sandbox of a pod; return whether there was one."""
        pod, sandbox = one.pod, secrets.token_hex(32)
        with self._booking:
            self._book.begin(pod, sandbox)
        one.n_tries += 1
        one.error = NO_ADDRESS
        sent_s = self._clock()
        reply = None
        try:
            reply = self._client.add_network(
                rpc_pb2.AddNetworkRequest(
                    **self._names(sandbox, pod.namespace, pod.name),
                    Netns=f"/var/run/netns/cni-{sandbox[:32]}",
                )
            )
        except grpc.RpcError as error:
            one.error = _said(error)
        done_s = self._clock()
        outcome.add_s.append(done_s - sent_s)
        one.waited_s = done_s - one.began_s
        if reply is None or not reply.Success or not reply.IPAllocationMetadata:
            self._end(sandbox, pod.namespace, pod.name, outcome)
            return False
        given = reply.IPAllocationMetadata[0]
        one.address, one.device = given.IPv4Addr or given.IPv6Addr, given.DeviceNumber
        one.error = ""
        with self._booking:
            self._book.serve(pod, sandbox, one.address, one.device)
        return True

    def _end(self, sandbox: str, namespace: str, name: str, outcome: Outcome) -> str:
        """Have the agent release what a sandbox holds; return what it met, "" for fine."""
        sent_s = self._clock()
        try:
            request = rpc_pb2.DelNetworkRequest(
                **self._names(sandbox, namespace, name), Reason=DELETED
            )
            reply = self._client.del_network(request)
            error = "" if reply.Success else "the agent did not release the address"
        except grpc.RpcError as refused:
            said = _said(refused)
            error = "" if UNKNOWN_POD in said else said
        outcome.del_s.append(self._clock() - sent_s)
        if not error:
            with self._booking:
                self._book.ended(sandbox)
        return error

    def _names(self, sandbox: str, namespace: str, name: str) -> dict[str, Any]:
        return {
            "K8S_POD_NAME": name,
            "K8S_POD_NAMESPACE": namespace,
            "K8S_POD_INFRA_CONTAINER_ID": sandbox,
            "ContainerID": sandbox,
            "IfName": IFNAME,
            "NetworkName": NETWORK,
            "ClientVersion": self._version,
        }


def _said(error: grpc.RpcError) -> str:
    """Return a gRPC error in one line: its code, and what the agent says."""
    return f"{error.code().name}: {error.details()}"
