"""Addresses that an agent serves: HOST:PORT, and sockets that somebody may serve already."""

from __future__ import annotations

import ipaddress
import socket
import stat
from typing import TYPE_CHECKING

from ipam_core.errors import InputError
from ipam_core.urls import in_url, is_loopback

if TYPE_CHECKING:
    from pathlib import Path


_PORT_DIGITS = 5


def loopback_address(text: str) -> str:
    """Return HOST:PORT as it is, on the loopback. Raises `InputError` for any other."""
    host, port = split_address(text)
    if not is_loopback(host):
        raise InputError(f"{text!r}: pods' addresses are given on the loopback only: 127.0.0.1")
    return f"{in_url(host)}:{port}"


def split_address(text: str) -> tuple[str, int]:
    """Return the host and port of HOST:PORT; a host left out is "". Raises `InputError`."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    is_port = port.isascii() and port.isdigit() and len(port) <= _PORT_DIGITS
    if not colon or not is_port or int(port) > 65535:
        raise InputError(f"{text!r}: an address is HOST:PORT, such as 127.0.0.1:61679")
    if host not in ("", "localhost") and not _is_address(host):
        raise InputError(f"{text!r}: the host is an IP address, or localhost")
    return host, int(port)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def refuse_served(path: Path) -> None:
    """Raise `InputError` where somebody serves a socket, or where something else is there."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise InputError(f"{path}: is there already, and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from error
    raise InputError(f"{path}: another agent serves it")
