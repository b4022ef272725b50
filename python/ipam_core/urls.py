"""Addresses of HTTP servers, as an option or a variable gives them."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from ipam_core.errors import InputError
from ipam_core.quoting import quoted


def check_http_url(url: str, where: str) -> None:
    """Refuse what is no address of an HTTP server.

    `where` names the option or variable that gave it. Raises `InputError`.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # a port that is no number raises
    except ValueError:
        host = None
    wrong = not url.isprintable() or not url.isascii() or " " in url
    if wrong or not host or parts.scheme not in ("http", "https"):
        raise InputError(f"{where} is http://HOST:PORT, not {quoted(url)}")


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address; of names, `localhost` alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def in_url(host: str) -> str:
    """Return a host as a URL has it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host
