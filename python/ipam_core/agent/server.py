"""The agent's gRPC server: a unix socket, and on request a port on the loopback.

Source: pkg/ipamd/rpc_handler.go of aws/amazon-vpc-cni-k8s: the modes of the socket and its
folder, the name of the health service, reflection.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ipam_core._extras import extra
from ipam_core.agent.addresses import loopback_address, refuse_served
from ipam_core.agent.protocol import services
from ipam_core.errors import InputError

with extra("agent", "the agent"):
    import grpc
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

HEALTH_SERVICE = "grpc.health.v1.aws-node"
"""The service whose health probes ask for."""
AT_ONCE = 16
"""Requests that are answered at the same time."""
MOST_WAITING = 1024
"""Requests under way or waiting; more are refused with RESOURCE_EXHAUSTED."""
LARGEST_REQUEST = 64 << 10
"""Bytes of a request; a plugin sends less than 1,000."""
MOST_REFLECTING = 2
"""Clients of the reflection service at a time: each of them holds a thread."""
LONGEST_PATH = 100
"""Bytes of the socket's path: a name that is longer for a moment must fit into sun_path."""
_LOCK_TRIES, _LOCK_WAIT_S = 100, 0.02
_SOCKET_MODE = 0o660
_FOLDER_MODE = 0o755


class RpcServer:
    """Serves what answers the services of rpc.proto, by their names.

    Binds in the constructor, and answers from `start` on. The health service says that it
    does not serve until `set_serving`. `tcp` is a HOST:PORT on the loopback, port 0 any free
    one.

    Attributes:
        tcp: the HOST:PORT that is served; None: none.

    Raises:
        InputError: another agent serves the socket, the path is no socket's, or the
            address is taken or not on the loopback.
        OSError: the folder cannot be made or written.
    """

    def __init__(
        self,
        servicers: Mapping[str, object],
        *,
        socket_path: Path,
        tcp: str | None = None,
        at_once: int = AT_ONCE,
    ) -> None:
        self.path: Path = socket_path.absolute()
        self.tcp: str | None = None
        tcp_address = loopback_address(tcp) if tcp is not None else None
        self._identity: tuple[int, int] | None = None
        self._stopped = False
        self._pool = ThreadPoolExecutor(at_once + MOST_REFLECTING, thread_name_prefix="grpc")
        self._server = grpc.server(
            self._pool,
            maximum_concurrent_rpcs=MOST_WAITING,
            options=(
                ("grpc.max_receive_message_length", LARGEST_REQUEST),
                ("grpc.so_reuseport", 0),
            ),
        )
        self._health = health.HealthServicer()
        try:
            self._add(servicers)
            with _alone_in(self.path):
                self._bind()
            if tcp_address is not None:
                self.tcp = self._bind_port(tcp_address)
        except BaseException:
            self.stop(0)
            raise

    def _add(self, servicers: Mapping[str, object]) -> None:
        """Add what answers, health and reflection."""
        names = [services.SERVICES[name].full_name for name in servicers]
        self._server.add_generic_rpc_handlers(
            [services.handler_of(name, servicer) for name, servicer in servicers.items()]
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self.set_serving(False)
        named = (*names, health.SERVICE_NAME, reflection.SERVICE_NAME)
        add_reflection = reflection_pb2_grpc.add_ServerReflectionServicer_to_server
        add_reflection(_BoundedReflection(named), self._server)  # type: ignore[no-untyped-call]

    def _bind(self) -> None:
        # Bound under another name: with its mode it comes into place at once, and what gRPC
        # removes at the end is that name, not the socket of an agent that took this place.
        unnamed = self.path.with_name(f"{self.path.name}.new")
        try:
            self._server.add_insecure_port(f"unix:{unnamed}")
        except RuntimeError as error:
            raise InputError(f"{self.path}: cannot be served: {error}") from error
        unnamed.chmod(_SOCKET_MODE)
        unnamed.rename(self.path)
        self._identity = _identity(self.path)

    def _bind_port(self, address: str) -> str:
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise InputError(f"{address}: cannot be served; is it taken?") from error
        return f"{address.rpartition(':')[0]}:{port}"

    def start(self) -> None:
        """Answer from now on."""
        self._server.start()

    def set_serving(self, serving: bool) -> None:
        """Have the health service say whether pods are served."""
        status = health_pb2.HealthCheckResponse
        for name in ("", HEALTH_SERVICE):
            self._health.set(name, status.SERVING if serving else status.NOT_SERVING)

    def stop(self, grace_s: float) -> None:
        """Take no more requests; answer those in flight, for so long; remove the socket."""
        if self._stopped:
            return
        self._stopped = True
        self._health.enter_graceful_shutdown()
        self._server.stop(grace_s).wait()
        self._pool.shutdown()
        if self._identity is not None and _identity(self.path) == self._identity:
            self.path.unlink(missing_ok=True)


class _BoundedReflection(reflection.ReflectionServicer):
    """Reflection for a few clients at a time: each may hold its thread as long as it likes."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(names)
        self._free = threading.Semaphore(MOST_REFLECTING)

    def ServerReflectionInfo(  # noqa: N802  (gRPC's name)
        self, request_iterator: Any, context: Any
    ) -> Iterator[Any]:
        """Answer one client's questions."""
        if not self._free.acquire(blocking=False):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many clients of reflection")
        try:
            yield from super().ServerReflectionInfo(request_iterator, context)
        finally:
            self._free.release()


@contextmanager
def _alone_in(path: Path) -> Iterator[None]:
    """Let one agent at a time look whether the path is served, and take it.

    The folder is made where it is not there. Raises `InputError` where somebody serves the
    path, or where something else is there.
    """
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise InputError(f"{path}: a socket's path has at most {LONGEST_PATH} bytes")
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True)
        path.parent.chmod(_FOLDER_MODE)
    owner = path.parent.stat().st_uid
    if owner not in (0, os.getuid()):
        raise InputError(f"{path.parent} is a folder of user {owner}, who could serve in its place")
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for _ in range(_LOCK_TRIES):  # no longer: whoever may read the folder can lock it
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_LOCK_WAIT_S)
        refuse_served(path)
        yield
    finally:
        os.close(folder)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
