"""What the agent's variables say of the host's network."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Self, TypeVar

from ipam_core.errors import InputError
from ipam_core.quoting import quoted
from ipam_core.settings import FALSE, TRUE

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

_log = logging.getLogger(__name__)

SMALLEST_MTU, LARGEST_MTU = 576, 9001


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """What the agent's variables say of the host's network."""

    mtu: int = LARGEST_MTU
    mark: int = 0x80
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
        mtu = _integer(variables, "AWS_VPC_ENI_MTU", cls().mtu, SMALLEST_MTU, LARGEST_MTU)
        if mtu is None:
            given = quoted(variables["AWS_VPC_ENI_MTU"])
            allowed = f"an integer from {SMALLEST_MTU} to {LARGEST_MTU}"
            raise InputError(f"AWS_VPC_ENI_MTU={given}: {allowed} is needed")
        mark = _integer(variables, "AWS_VPC_K8S_CNI_CONNMARK", cls().mark, 1, 0xFFFF_FFFF)
        return cls(
            mtu=mtu,
            mark=_or_default("AWS_VPC_K8S_CNI_CONNMARK", mark, cls().mark),
            node_ports=_boolean(variables, "AWS_VPC_CNI_NODE_PORT_SUPPORT", default=True),
            external_snat=_boolean(variables, "AWS_VPC_K8S_CNI_EXTERNALSNAT", default=False),
            service_cidrs=_blocks(variables, "AWS_EXTERNAL_SERVICE_CIDRS"),
        )


def _integer(
    variables: Mapping[str, str], name: str, default: int, least: int, most: int
) -> int | None:
    """Return a variable's value, None where it has one that cannot be used."""
    text = variables.get(name, "")
    try:
        value = int(text, 0) if text else default
    except ValueError:
        return None
    return value if least <= value <= most else None


def _boolean(variables: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = variables.get(name, "")
    value = (text in TRUE) if text in TRUE | FALSE else None
    return _or_default(name, value, default) if text else default


def _or_default(name: str, value: T | None, default: T) -> T:
    if value is None:
        _log.warning("%s: its value cannot be used; it is taken as %s", name, default)
        return default
    return value


def _blocks(variables: Mapping[str, str], name: str) -> tuple[str, ...]:
    found = []
    for text in filter(None, map(str.strip, variables.get(name, "").split(","))):
        try:
            found.append(str(IPv4Network(text, strict=False)))
        except ValueError:
            _log.warning("%s: %s is no block such as 10.1.0.0/16; left out", name, quoted(text))
    return tuple(found)
