"""What the agent's variables say of the host's network."""

from __future__ import annotations

import logging
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Self, TypeVar

from ipam_core._dataclass import dataclass
from ipam_core.errors import InputError
from ipam_core.quoting import quoted
from ipam_core.settings import go_atoi, go_bool

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

_log = logging.getLogger(__name__)

SMALLEST_MTU, LARGEST_MTU = 576, 9001
DEFAULT_MARK = 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """What the agent's variables say of the host's network: their one reader.

    Source: pkg/networkutils/network.go and cmd/aws-vpc-cni of aws/amazon-vpc-cni-k8s v1.23.1.
    """

    mtu: int = LARGEST_MTU
    mark: int = DEFAULT_MARK
    node_ports: bool = True
    external_snat: bool = False
    service_cidrs: tuple[str, ...] = ()

    @classmethod
    def from_env(cls, variables: Mapping[str, str]) -> Self:
        """Return what these variables set, read as the real agent reads them.

        What cannot be used is left out or the default, with a warning in the log; only an
        MTU is refused, as that agent's container does not start with it.

        Raises:
            InputError: AWS_VPC_ENI_MTU is no integer from 576 to 9001.
        """
        given = variables.get("AWS_VPC_ENI_MTU", "")
        mtu = go_atoi(given) if given else LARGEST_MTU
        if mtu is None or not SMALLEST_MTU <= mtu <= LARGEST_MTU:
            allowed = f"an integer from {SMALLEST_MTU} to {LARGEST_MTU}"
            raise InputError(f"AWS_VPC_ENI_MTU={quoted(given)}: {allowed} is needed")
        return cls(
            mtu=mtu,
            mark=_mark(variables, "AWS_VPC_K8S_CNI_CONNMARK"),
            node_ports=_boolean(variables, "AWS_VPC_CNI_NODE_PORT_SUPPORT", default=True),
            external_snat=_boolean(variables, "AWS_VPC_K8S_CNI_EXTERNALSNAT", default=False),
            service_cidrs=cidrs(variables, "AWS_EXTERNAL_SERVICE_CIDRS"),
        )


def cidrs(variables: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Return the IPv4 CIDRs of a variable; what is none is left out with a warning.

    An address without a length is none, as for Go's `net.ParseCIDR`.
    """
    found = []
    for text in filter(None, map(str.strip, variables.get(name, "").split(","))):
        address, slash, length = text.partition("/")
        try:
            if not (slash and length.isascii() and length.isdigit()):
                raise ValueError
            found.append(str(IPv4Network((address, int(length)), strict=False)))
        except ValueError:
            _log.warning("%s: %s is no block such as 10.1.0.0/16; left out", name, quoted(text))
    return tuple(found)


def _mark(variables: Mapping[str, str], name: str) -> int:
    """Return a mark as Go's `strconv.ParseInt(text, 0, 64)` reads it, from 1 to 2^32 - 1."""
    text = variables.get(name, "")
    try:
        value = int(text, 0) if text else DEFAULT_MARK
    except ValueError:
        value = 0
    return _or_default(name, value if 0 < value < 1 << 32 else None, DEFAULT_MARK)


def _boolean(variables: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = variables.get(name, "")
    return _or_default(name, go_bool(text), default) if text else default


def _or_default(name: str, value: T | None, default: T) -> T:
    if value is None:
        _log.warning("%s: its value cannot be used; it is taken as %s", name, default)
        return default
    return value
