"""`ipam-core pods`: pods without a cluster, started through a running agent."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ipam_core.cli import _pods_text
from ipam_core.cli._options import JsonOption
from ipam_core.cli._out import progress_of
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam_core.agent.kubelet import Kubelet
    from ipam_core.agent.pod_book import BookedPod, PodBook

app: typer.Typer = typer.Typer(
    help="Start and end pods through an agent, as the kubelet, the runtime and the plugin do.",
    no_args_is_help=True,
)

SocketOption = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="The agent's socket; default: that of a running agent."),
]
WaitOption = Annotated[
    float,
    typer.Option("--wait", min=0, metavar="SECONDS", help="How long pods that wait are retried."),
]
BackoffOption = Annotated[
    float,
    typer.Option(
        "--backoff", min=0.1, metavar="SECONDS", help="The least time between tries of a pod."
    ),
]
NameOption = Annotated[
    str, typer.Option("--name", metavar="NAME", help="What the pods are called: NAME-1, NAME-2.")
]
NamespaceOption = Annotated[str, typer.Option("--namespace", "-n", help="Their namespace.")]
VersionOption = Annotated[
    str, typer.Option("--client-version", metavar="VERSION", help="The plugin's, for the agent.")
]
AtOnceOption = Annotated[
    int, typer.Option("--at-once", min=1, max=64, help="Requests at the same time.")
]
MOST = 20_000
# Names as Kubernetes has them (RFC 1123); a pod's has room for "-20000" up to 253 characters.
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LONGEST_NAME = 240
_LONGEST_NAMESPACE = 63
_LONGEST_VERSION = 512  # of an agent's requests


@app.command()
def add(
    count: Annotated[int, typer.Argument(min=1, max=MOST, metavar="COUNT", help="How many pods.")],
    name: NameOption = "pod",
    namespace: NamespaceOption = "default",
    wait: WaitOption = 15,
    backoff: BackoffOption = 10,
    at_once: AtOnceOption = 1,
    client_version: VersionOption = "",
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> int:
    """Start pods: each asks the agent for an address, with a new sandbox each time.

    A pod without one is tried again after 10 to 15 s, as the kubelet does. Exits 1 where pods
    wait at the end; `ipam-core pods retry` goes on with them.

    Example: ipam-core pods add 26
    """
    _check_names(name, namespace)
    with _kubelet(socket, at_once, backoff, client_version) as (kubelet, book):
        pods = book.add(count, name=name, namespace=namespace, now=time.time())
        with progress_of(f"{count} pods") as tell:
            outcome = kubelet.start(pods, patience_s=wait, progress=tell)
    return _pods_text.report(outcome, as_json)


@app.command()
def retry(
    wait: WaitOption = 15,
    backoff: BackoffOption = 10,
    at_once: AtOnceOption = 1,
    client_version: VersionOption = "",
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> int:
    """Go on with the pods that wait. Exits 1 where some still do.

    Example: ipam-core pods retry --wait 60
    """
    with _kubelet(socket, at_once, backoff, client_version) as (kubelet, book):
        pods = book.waiting()
        with progress_of(f"{len(pods)} pods") as tell:
            outcome = kubelet.start(pods, patience_s=wait, progress=tell)
    return _pods_text.report(outcome, as_json)


@app.command()
def delete(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[POD]...", help="pod-1, or NAMESPACE/NAME.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="End every pod.")] = False,
    count: Annotated[
        int | None, typer.Option(min=1, help="End this many, the oldest first.")
    ] = None,
    at_once: AtOnceOption = 1,
    client_version: VersionOption = "",
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> int:
    """End pods: the agent releases their addresses. Exits 1 where it did not.

    What an earlier command left to be ended is ended, too.

    Example: ipam-core pods delete pod-3 pod-4
    """
    if sum((bool(names), everything, count is not None)) != 1:
        raise InputError("give pods by name, or --count, or --all")
    with _kubelet(socket, at_once, 10, client_version) as (kubelet, book):
        known = book.pods()
        chosen = _named(known, names) if names else known[:count]
        with progress_of(f"{len(chosen)} pods") as tell:
            outcome = kubelet.end(chosen, progress=tell)
    return _pods_text.report(outcome, as_json)


@app.command("list")
def list_(socket: SocketOption = None, as_json: JsonOption = False) -> int:
    """List the pods that were started here, with their addresses; the agent is not asked.

    Example: ipam-core pods list --json
    """
    from datetime import UTC, datetime

    from ipam_core.cli._out import print_json, print_table, print_text
    from ipam_core.cli._tables import Table

    with _book(_socket(socket)) as book:
        pods = book.pods()
    if as_json:
        print_json({"pods": [_pods_text.plain(pod) for pod in pods]})
        return 0
    if pods:
        table = Table()
        table.text_column("Pod")
        table.text_column("Address", no_wrap=True)
        table.number_columns("Device")
        table.text_column("Since (UTC)", no_wrap=True)
        for pod in pods:
            since = f"{datetime.fromtimestamp(pod.since, UTC):%H:%M:%S}"
            device = str(pod.device) if pod.address else "-"
            table.row(str(pod), pod.address or "waits", device, since)
        print_table(table)
    n_held = sum(bool(pod.address) for pod in pods)
    print_text(f"{n_held} with an address, {len(pods) - n_held} waiting")
    return 0


@app.command()
def roll(
    name: NameOption = "pod",
    namespace: NamespaceOption = "default",
    surge: Annotated[
        int | None, typer.Option(min=1, help="New pods at a time; default: a quarter.")
    ] = None,
    wait: WaitOption = 60,
    backoff: BackoffOption = 10,
    at_once: AtOnceOption = 1,
    client_version: VersionOption = "",
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> int:
    """Replace the pods of a name by new ones, as a rolling update does: some at a time.

    Old pods end as new ones get an address. Exits 1 where new pods wait: the update stops.

    Example: ipam-core pods roll --surge 5
    """
    from ipam_core.agent import pod_workloads

    with _kubelet(socket, at_once, backoff, client_version) as (kubelet, book):
        old = [
            pod
            for pod in book.pods()
            if pod.namespace == namespace and pod.name.rpartition("-")[0] == name
        ]
        if not old:
            raise InputError(f"no pod of the name {name!r} runs in the namespace {namespace!r}")
        with progress_of(f"{len(old)} pods") as tell:
            outcome = pod_workloads.roll(
                kubelet,
                book,
                old,
                name=name,
                namespace=namespace,
                surge=surge or -(-len(old) // 4),
                patience_s=wait,
                progress=tell,
            )
    return _pods_text.report(outcome, as_json)


@app.command()
def storm(
    count: Annotated[int, typer.Argument(min=1, max=MOST, metavar="COUNT", help="Pods at a time.")],
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="How often.")] = 1,
    name: NameOption = "storm",
    namespace: NamespaceOption = "default",
    wait: WaitOption = 0,
    backoff: BackoffOption = 10,
    at_once: AtOnceOption = 16,
    client_version: VersionOption = "",
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> int:
    """Start many pods at once and end them again; say how long requests took.

    Exits 1 where pods got no address.

    Example: ipam-core pods storm 100 --rounds 3
    """
    from ipam_core.agent import pod_workloads

    _check_names(name, namespace)
    with (
        _kubelet(socket, at_once, backoff, client_version) as (kubelet, book),
        progress_of(f"{rounds} x {count} pods") as tell,
    ):
        outcome = pod_workloads.storm(
            kubelet,
            book,
            count,
            name=name,
            namespace=namespace,
            rounds=rounds,
            patience_s=wait,
            progress=tell,
        )
    return _pods_text.report(outcome, as_json, kept=False)


# --- what they share -------------------------------------------------------------------------


def _socket(given: Path | None) -> Path:
    from ipam_core.agent.places import find_socket

    return given if given is not None else find_socket()


def _book(socket: Path) -> PodBook:
    from ipam_core.agent.pod_book import PodBook

    if not socket.parent.is_dir():
        raise InputError(f"{socket.parent}: no such folder; {_HOW}")
    return PodBook(socket.with_name(f"{socket.name}.pods"))


_HOW = "start an agent first, such as ipam-core agent --simulate m5.large"


@contextmanager
def _kubelet(
    given: Path | None, at_once: int, backoff_s: float, version: str
) -> Iterator[tuple[Kubelet, PodBook]]:
    """Give what starts pods, and its book. Raises `InputError` where no agent answers."""
    from ipam_core.agent.kubelet import Kubelet
    from ipam_core.agent.protocol.client import Client

    _check_version(version)
    path = _socket(given)
    _refuse_unserved(path)
    with (
        _book(path) as book,
        Client(path) as client,
        Kubelet(client, book, at_once=at_once, backoff_s=backoff_s, version=version) as kubelet,
    ):
        yield kubelet, book


def _check_names(name: str, namespace: str) -> None:
    """Refuse what Kubernetes takes for no name of a pod, or of a namespace."""
    from ipam_core.quoting import quoted

    words = "small letters, digits, '-'"
    if not re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", name) or len(name) > _LONGEST_NAME:
        raise InputError(
            f"--name is of {words} and '.', at most {_LONGEST_NAME}, not {quoted(name)}"
        )
    if not re.fullmatch(_LABEL, namespace) or len(namespace) > _LONGEST_NAMESPACE:
        raise InputError(
            f"--namespace is of {words}, at most {_LONGEST_NAMESPACE}, not {quoted(namespace)}"
        )


def _check_version(version: str) -> None:
    """Refuse what every agent would: the pods would wait for nothing."""
    from ipam_core.quoting import quoted

    if len(version) > _LONGEST_VERSION or not version.isprintable():
        raise InputError(
            f"--client-version is printable, of at most {_LONGEST_VERSION} letters, not "
            f"{quoted(version)}"
        )


def _refuse_unserved(path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(5)
        try:
            probe.connect(str(path))
        except OSError as error:
            raise InputError(
                f"{path}: no agent answers ({error.strerror or error}); {_HOW}"
            ) from None


def _named(known: list[BookedPod], names: list[str]) -> list[BookedPod]:
    """Return pods by name. Raises `InputError`."""
    by_name = {str(pod): pod for pod in known}
    found = []
    for name in names:
        full = name if "/" in name else f"default/{name}"
        if full not in by_name:
            raise InputError(f"no pod {full!r}; ipam-core pods list shows {len(known)}")
        found.append(by_name[full])
    return found
