"""A VPC served on HTTP ports: EC2's, and one for the instance metadata of each instance.

`Endpoints` runs in the asyncio loop that starts it; `VpcServer` gives it a thread of its own,
for programs that are its clients:

    with VpcServer() as server:
        ec2 = boto3.client("ec2", endpoint_url=server.endpoint_url, ...)
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ipam_core.endpoint import imds
from ipam_core.endpoint.address import EC2, METADATA, Address
from ipam_core.endpoint.faces import Ec2Face, refused
from ipam_core.endpoint.file import VpcSpec, read_vpc, vpc_of
from ipam_core.endpoint.imds import MetadataService
from ipam_core.endpoint.listen import Answer, open_port
from ipam_core.endpoint.served import APIS, open_vpc
from ipam_core.errors import InputError
from ipam_core.simulation.fleet.parts import fault_of
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from ipam_core.endpoint.listen import Port, Request
    from ipam_core.endpoint.served import ServedVpc

T = TypeVar("T")

TICK_S = 0.5
"""How often, in real seconds, ports are opened and closed for what happened by itself."""
_log = logging.getLogger(__name__)


class Endpoints:
    """The ports of a served VPC.

    `imds_each` opens a port for the metadata of every instance, of those too that are
    launched later; one port for all of them is there in any case. Without `imds_v1` metadata
    needs a token, unless an instance was launched otherwise. `on_address` is given each
    address as it is opened.
    """

    def __init__(
        self,
        served: ServedVpc,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        imds_port: int = 0,
        imds_each: bool = True,
        imds_v1: bool = True,
        seed: int = 0,
        on_address: Callable[[Address], None] = lambda _: None,
    ) -> None:
        self.served = served
        self._host = host
        self._port = port
        self._imds_port = imds_port
        self._imds_each = imds_each
        served.account.http_tokens = "optional" if imds_v1 else "required"
        self._on_address = on_address
        self._face = Ec2Face(served, self)
        self._metadata = MetadataService(
            served.metadata, served.instance_ids, served.clock.now_ns, seed=seed
        )
        self._ec2: Port | None = None
        self._shared: Port | None = None
        self._each: dict[str, Port] = {}
        self._syncing = asyncio.Lock()
        self._ticker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open every port. Raises `InputError` where one cannot be; none is open then."""
        try:
            self._ec2 = await self._open(
                self._ec2_answer, refused, self._port, Address(what=EC2, url="")
            )
            self._shared = await self._open(
                self._metadata_answer, imds.refused, self._imds_port, Address(what=METADATA, url="")
            )
            await self._first_sync()
        except BaseException:
            await self.stop()
            raise
        self._ticker = asyncio.create_task(self._tick())

    async def _first_sync(self) -> None:
        try:
            await self.sync_ports()
        except InputError as error:
            more = "one metadata port serves all nodes where each has none: --imds shared"
            raise InputError(f"{error}; {more}") from error

    async def stop(self) -> None:
        """Let calls under way end for a second, and close every port."""
        if self._ticker is not None:
            self._ticker.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticker
        ports = [self._ec2, self._shared, *self._each.values()]
        await asyncio.gather(*(port.close() for port in ports if port is not None))
        self._each.clear()
        self._ec2 = self._shared = self._ticker = None

    @property
    def ec2_url(self) -> str:
        """EC2's address."""
        assert self._ec2 is not None
        return self._ec2.url

    @property
    def imds_url(self) -> str:
        """The address of every instance's metadata; `/i-.../` after it says whose."""
        assert self._shared is not None
        return self._shared.url

    @property
    def imds_urls(self) -> dict[str, str]:
        """The address of each instance's own metadata, by the instance's id."""
        if not self._imds_each:
            return {id_: f"{self.imds_url}/{id_}" for id_ in self.served.instance_ids()}
        return {instance_id: port.url for instance_id, port in self._each.items()}

    def addresses(self) -> list[dict[str, str]]:
        """Return each address as JSON has it."""
        found = [Address(what=EC2, url=self.ec2_url), Address(what=METADATA, url=self.imds_url)]
        found += [
            Address(what=METADATA, url=port.url, instance=each, name=self._name(each))
            for each, port in self._each.items()
        ]
        return [address.to_dict() for address in found]

    async def sync_ports(self) -> None:
        """Open a port for each instance that has none, and close those of instances that ended."""
        if not self._imds_each:
            return
        async with self._syncing:
            wanted = self.served.instance_ids()
            gone = self._each.keys() - set(wanted)
            await asyncio.gather(*(self._each.pop(each).close() for each in gone))
            for each in wanted:
                if each not in self._each:
                    address = Address(what=METADATA, url="", instance=each, name=self._name(each))
                    answer = partial(self._metadata_answer, instance_id=each)
                    self._each[each] = await self._open(answer, imds.refused, 0, address)

    def _name(self, instance_id: str) -> str:
        """Return an instance's tag Name, or its type."""
        row = self.served.account.instances.by_key[instance_id]
        return row.tags.get("Name") or row.limits.instance_type

    async def _open(
        self,
        answer: Callable[[Request], Coroutine[Any, Any, Answer]],
        refuse: Callable[[int], Answer],
        port: int,
        address: Address,
    ) -> Port:
        opened = await open_port(answer, refuse, host=self._host, port=port)
        self._on_address(
            Address(what=address.what, url=opened.url, instance=address.instance, name=address.name)
        )
        return opened

    async def _ec2_answer(self, request: Request) -> Answer:
        n_before = len(self.served.account.instances)
        answer = await self._face.answer(request)
        if len(self.served.account.instances) != n_before:
            await self._sync_or_warn()  # whoever launched it may ask its metadata at once
        return answer

    async def _metadata_answer(self, request: Request, instance_id: str | None = None) -> Answer:
        return self._metadata.answer(request, instance_id)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.served.account.settle()
            await self._sync_or_warn()

    async def _sync_or_warn(self) -> None:
        try:
            await self.sync_ports()
        except InputError as error:
            _log.warning("an instance's metadata has no port of its own: %s", error)


class VpcServer:
    """A served VPC in a thread of its own, while it is entered: see the module.

    `spec` is a VPC as a file has it, or its value, such as
    `{"subnets": [...], "nodes": [...], "ec2": {"throttling": False}}`; left out, one subnet
    and one node of type m5.large, whose calls take no time and are never throttled. Nothing
    is printed, and no signal is handled.

    Attributes, while it is entered:
        endpoint_url: EC2's address, for clients of EC2, STS and EKS.
        imds_urls: the address of each instance's metadata, by the instance's id.
        imds_url: the one of all instances: an id after it says whose.

    Raises:
        InputError: a wrong spec, a damaged state, a port that cannot be listened on.
        OSError: the state or the trail cannot be read or written.
    """

    def __init__(
        self,
        spec: VpcSpec | Mapping[str, Any] | Path | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        imds_port: int = 0,
        imds_each: bool = True,
        imds_v1: bool = True,
        speed: float = 1.0,
        held: bool = False,
        seed: int | None = None,
        state: Path | None = None,
        trail: Path | None = None,
    ) -> None:
        if spec is None:
            at_once = vpc_of({"ec2": {"latency": False, "throttling": False}}, APIS)
            spec = replace(at_once, groups=VpcSpec().groups)
        if isinstance(spec, Path):
            spec = read_vpc(spec, APIS)
        elif not isinstance(spec, VpcSpec):
            spec = vpc_of(dict(spec), APIS)
        self._open = partial(
            open_vpc, spec, speed=speed, held=held, seed=seed, state=state, trail=trail
        )
        self._serve = partial(
            Endpoints,
            host=host,
            port=port,
            imds_port=imds_port,
            imds_each=imds_each,
            imds_v1=imds_v1,
            seed=spec.seed if seed is None else seed,
        )
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ends: asyncio.Event
        self._endpoints: Endpoints

    def __enter__(self) -> Self:
        """Serve it. The addresses answer when this returns."""
        if self._thread is not None:
            raise RuntimeError("it is served already")
        started: Future[None] = Future()
        self._ended: Future[None] = Future()
        self._loop, self._ends = None, asyncio.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run(started)), name="ipam-core vpc", daemon=True
        )
        self._thread.start()
        try:
            started.result()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving: every port is closed, and the state saved. Raises `OSError`."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._loop is None:  # an interrupt came before its thread began
            self._ends.set()
        else:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._ends.set)
        thread.join()
        if self._ended.done():
            self._ended.result()

    async def _run(self, started: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            served = self._open()
        except BaseException as error:
            started.set_exception(error)
            return
        try:
            self._endpoints = self._serve(served)
            await self._endpoints.start()
        except BaseException as error:
            served.close(save=False)
            started.set_exception(error)
            return
        started.set_result(None)
        await self._ends.wait()
        try:
            await self._endpoints.stop()
            served.close()
        except OSError as error:
            self._ended.set_exception(error)

    # --- addresses ------------------------------------------------------------------

    @property
    def endpoint_url(self) -> str:
        """EC2's address."""
        return self._endpoints.ec2_url

    @property
    def imds_url(self) -> str:
        """The address of every instance's metadata."""
        return self._endpoints.imds_url

    @property
    def imds_urls(self) -> dict[str, str]:
        """The address of each instance's metadata, by the instance's id."""
        return self.do(lambda _: self._endpoints.imds_urls)

    # --- what is changed while it runs ------------------------------------------------

    def do(self, act: Callable[[ServedVpc], T]) -> T:
        """Let a function have the VPC between two calls, and return what it returns."""

        async def between() -> T:
            return act(self._endpoints.served)

        if self._loop is None or self._thread is None:
            raise RuntimeError("it is not served")
        return asyncio.run_coroutine_threadsafe(between(), self._loop).result()

    def move(self, seconds: float) -> None:
        """Move the clock forward. Raises `InputError`."""
        self.do(lambda served: served.move(round(seconds * NS)))

    def add_fault(self, api: str, code: str, **how: Any) -> int:
        """Let calls fail from now on, and return the fault's number.

        `how` is as in a file: `times`, `probability`, `message`, `until="2m"`; `from` is a
        word of Python: `**{"from": "10s"}`. Raises `InputError`.
        """
        spec = fault_of({"api": api, "code": code, **how}, "fault", APIS)
        return self.do(lambda served: served.add_fault(spec))

    def clear_faults(self) -> None:
        """Let no call fail any more."""
        self.do(lambda served: served.gate.faults.clear())
