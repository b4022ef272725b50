"""`ipam-core doctor NODE`: which of its arguments is a node, and what is collected of it."""

from __future__ import annotations

import asyncio
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ipam_core.cli._out import waiting
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam_core.k8s.access import Access
    from ipam_core.k8s.debug_pod import DebugPod
    from ipam_core.k8s.node_files import NodeFiles

_NODE = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")
_OF_FILES = re.compile(
    r"\.(?:json|ya?ml|log|gz|tgz|tar|zip|zst|xz|bz2|out|txt|db|csv|prom|metrics)$"
)
PREFIX = "node/"


def node_named(paths: list[Path], *, options: dict[str, bool]) -> str:
    """Return the node that the arguments mean, "" where they are files.

    What exists is a file. `node/NAME`, as kubectl writes it, is a node; so is a lone name of
    Kubernetes' form without the ending of a file. `options` are those that only a node has, and
    whether each is given.

    Raises `InputError`: a node and files; such an option and files.
    """
    named = [each for path in paths if (each := _node_of(path, alone=len(paths) == 1))]
    if named and len(paths) > 1:
        raise InputError(f"{PREFIX}{named[0]}: one node, or files of one")
    if not named:
        for option, given in options.items():
            if given:
                raise InputError(f"{option} goes with a node, and {paths[0]} is taken as a file")
        return ""
    return named[0]


def _node_of(path: Path, *, alone: bool) -> str:
    text = str(path)
    if text == "-" or path.exists():
        return ""
    name = text.removeprefix(PREFIX)
    if not _NODE.fullmatch(name):
        return ""
    if text.startswith(PREFIX):
        return name
    return name if alone and not _OF_FILES.search(name) else ""


def cluster_of(name: str, kubeconfig: Path | None, context: str, *, sure: bool) -> Access:
    """Return the cluster to ask. `sure`: the argument can be nothing but a node.

    Raises:
        FileNotFoundError: no cluster is known, and the argument may have been a file.
        InputError, MissingExtraError: no cluster is known, or kr8s is not installed.
    """
    from ipam_core.errors import MissingExtraError
    from ipam_core.k8s.access import Access, need_kr8s

    try:
        need_kr8s("reading a node")
        return Access.find(kubeconfig=kubeconfig, context=context)
    except (InputError, MissingExtraError) as error:
        if sure:
            raise
        raise FileNotFoundError(
            2, f"No such file or directory; as a node: {error}", name
        ) from error


def collect(access: Access, name: str, debug: DebugPod | None) -> NodeFiles:
    """Collect what the cluster has of a node. Raises `IpamError`."""
    from ipam_core.k8s.client import Client
    from ipam_core.k8s.connection import Connection
    from ipam_core.k8s.node_files import collect_node

    async def run() -> NodeFiles:
        async with Connection(access) as connection:
            return await collect_node(Client(connection), name, debug=debug)

    with waiting(f"Reading node {name}"):
        return asyncio.run(run())


@contextmanager
def in_folder(found: NodeFiles) -> Iterator[Path]:
    """Give a folder with the files, for as long as they are read."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="ipam-core-") as folder:
        for name, content in found.files.items():
            (Path(folder) / name).write_bytes(content)
        yield Path(folder)


def check_new(path: Path) -> None:
    """Refuse a bundle that is there, or has nowhere to be. Raises `InputError`."""
    if not str(path).endswith((".tar.gz", ".tgz")):
        raise InputError(f"--save {str(path)!r}: a name that ends in .tar.gz or .tgz")
    if path.exists():
        raise InputError(f"--save {str(path)!r}: it is there already")
    if not path.parent.is_dir():
        raise InputError(f"--save {str(path)!r}: no folder {str(path.parent)!r}")


def save(found: NodeFiles, name: str, path: Path) -> None:
    """Write the files as an archive that only its owner reads, whole or not at all.

    Raises `OSError`.
    """
    import io
    import os
    import tarfile
    import time

    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with (
            os.fdopen(descriptor, "wb") as file,
            tarfile.open(fileobj=file, mode="w:gz") as archive,
        ):
            for each, content in found.files.items():
                entry = tarfile.TarInfo(f"{name}/{each}")
                entry.size, entry.mtime, entry.mode = len(content), int(time.time()), 0o600
                archive.addfile(entry, io.BytesIO(content))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
