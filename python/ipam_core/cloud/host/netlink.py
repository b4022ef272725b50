"""A host's links, routes and rules through netlink."""

from __future__ import annotations

import errno
from socket import AF_INET
from typing import TYPE_CHECKING, Any

from ipam_core._extras import extra
from ipam_core.cloud.host.operations import (
    MAIN_TABLE,
    AddAddress,
    AddRule,
    BringUp,
    Link,
    PutRoute,
    RemoveAddress,
    RemoveConnectedRoute,
    RemoveRule,
    Rule,
    SetMtu,
)

with extra("host", "the host's network"):
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

if TYPE_CHECKING:
    from ipam_core.cloud.host.operations import Operation
    from ipam_core.effects import AttachedEni

_SCOPE_LINK, _SCOPE_UNIVERSE = 253, 0
_FINE = {
    AddAddress: {errno.EEXIST},
    AddRule: {errno.EEXIST},
    RemoveAddress: {errno.EADDRNOTAVAIL},
    RemoveRule: {errno.ENOENT},
    RemoveConnectedRoute: {errno.ESRCH},
}
"""What says of an operation that it was done before."""


class NetlinkHost:
    """The host that this process runs on, or the network namespace of that name.

    Needs CAP_NET_ADMIN. Each call opens a socket of its own: 0.5 ms; threads may share it.

    Raises:
        MissingExtraError: pyroute2 is not installed (in importing this module).
    """

    def __init__(self, netns: str | None = None) -> None:
        self._options: dict[str, Any] = {} if netns is None else {"netns": netns}

    def find_link(self, eni: AttachedEni) -> Link | None:
        """Return the link that has an ENI's MAC address."""
        with IPRoute(**self._options) as ip:
            for link in ip.get_links():
                if eni.mac and link.get("address") == eni.mac:
                    held = ip.get_addr(family=AF_INET, index=link["index"])
                    addresses = (f"{each.get('address')}/{each['prefixlen']}" for each in held)
                    return Link(name=link.get("ifname"), addresses=tuple(addresses))
        return None

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules that `Rule` can hold: no interface, port, or mask of a mark alone."""
        with IPRoute(**self._options) as ip:
            return tuple(
                Rule(
                    priority=rule.get("priority") or 0,
                    table=rule.get("table") or rule["table"],
                    source=_cidr(rule.get("src"), rule["src_len"]),
                    destination=_cidr(rule.get("dst"), rule["dst_len"]),
                    mark=rule.get("fwmark") or 0,
                )
                for rule in ip.get_rules(family=AF_INET)
                if rule.get("fwmask") == rule.get("fwmark")
                and not (rule.get("iifname") or rule.get("oifname"))
            )

    def apply(self, operation: Operation) -> None:
        """Carry one operation out. Raises `OSError`."""
        with IPRoute(**self._options) as ip:
            try:
                _apply(ip, operation)
            except NetlinkError as error:
                if error.code not in _FINE.get(type(operation), ()):
                    raise OSError(error.code, f"{errno.errorcode.get(error.code, error.code)}",
                                  f"ip {operation}") from error  # fmt: skip


def _apply(ip: IPRoute, operation: Operation) -> None:
    match operation:
        case SetMtu(link=link, mtu=mtu):
            ip.link("set", index=_index(ip, link), mtu=mtu)
        case BringUp(link=link):
            ip.link("set", index=_index(ip, link), state="up")
        case AddAddress(link=link, address=address) | RemoveAddress(link=link, address=address):
            what = "add" if isinstance(operation, AddAddress) else "del"
            host, _, length = address.partition("/")
            ip.addr(what, index=_index(ip, link), address=host, prefixlen=int(length))
        case PutRoute(table=table, destination=destination, link=link, gateway=gateway):
            way = {"gateway": gateway, "scope": _SCOPE_UNIVERSE} if gateway else {
                "scope": _SCOPE_LINK
            }  # fmt: skip
            ip.route("replace", dst=destination, oif=_index(ip, link), table=table, **way)
        case RemoveConnectedRoute(link=link, destination=destination, source=source):
            ip.route(
                "del",
                dst=destination,
                oif=_index(ip, link),
                prefsrc=source,
                scope=_SCOPE_LINK,
                table=MAIN_TABLE,
            )
        case AddRule(rule=rule) | RemoveRule(rule=rule):
            ip.rule("add" if isinstance(operation, AddRule) else "del", **_rule(rule))


def _index(ip: IPRoute, link: str) -> int:
    """Return a link's number. Raises `OSError`."""
    found = ip.link_lookup(ifname=link)
    if not found:
        raise OSError(errno.ENODEV, "ENODEV", f"link {link!r}")
    index: int = found[0]
    return index


def _rule(rule: Rule) -> dict[str, Any]:
    given: dict[str, Any] = {"priority": rule.priority, "table": rule.table}
    for name, cidr in (("src", rule.source), ("dst", rule.destination)):
        if cidr:
            address, _, length = cidr.partition("/")
            given |= {name: address, f"{name}_len": int(length)}
    if rule.mark:
        given |= {"fwmark": rule.mark, "fwmask": rule.mark}
    return given


def _cidr(address: str | None, length: int) -> str:
    return f"{address}/{length}" if address else ""
