"""A host's links and rules as values, and what is done to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ipam_core._dataclass import dataclass

if TYPE_CHECKING:
    from ipam_core.effects import AttachedEni

MAIN_TABLE = 254


# --- what the host has ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link of the host, with its IPv4 addresses as "10.0.0.5/24"."""

    name: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A routing rule. "" and 0 match all; addresses are CIDRs."""

    priority: int
    table: int
    source: str = ""
    destination: str = ""
    mark: int = 0

    def __str__(self) -> str:
        said = f"priority {self.priority} from {self.source or 'all'}"
        said += f" to {self.destination}" if self.destination else ""
        said += f" fwmark {self.mark:#x}/{self.mark:#x}" if self.mark else ""
        return f"{said} lookup {self.table}"


# --- what is done to it -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SetMtu:
    """Set a link's MTU."""

    link: str
    mtu: int

    def __str__(self) -> str:
        return f"link set dev {self.link} mtu {self.mtu}"


@dataclass(frozen=True, slots=True)
class BringUp:
    """Bring a link up."""

    link: str

    def __str__(self) -> str:
        return f"link set dev {self.link} up"


@dataclass(frozen=True, slots=True)
class RemoveAddress:
    """Take an address off a link."""

    link: str
    address: str

    def __str__(self) -> str:
        return f"address del {self.address} dev {self.link}"


@dataclass(frozen=True, slots=True)
class AddAddress:
    """Give a link an address."""

    link: str
    address: str

    def __str__(self) -> str:
        return f"address add {self.address} dev {self.link}"


@dataclass(frozen=True, slots=True)
class PutRoute:
    """Put a route into a table, in the place of one that is there."""

    table: int
    destination: str
    link: str
    gateway: str = ""

    def __str__(self) -> str:
        way = f"via {self.gateway}" if self.gateway else "scope link"
        return f"route replace {self.destination} {way} dev {self.link} table {self.table}"


@dataclass(frozen=True, slots=True)
class RemoveConnectedRoute:
    """Take the route away that the kernel made for a link's address in the main table."""

    link: str
    destination: str
    source: str

    def __str__(self) -> str:
        return (
            f"route del {self.destination} dev {self.link} src {self.source} "
            f"scope link table {MAIN_TABLE}"
        )


@dataclass(frozen=True, slots=True)
class AddRule:
    """Add a rule."""

    rule: Rule

    def __str__(self) -> str:
        return f"rule add {self.rule}"


@dataclass(frozen=True, slots=True)
class RemoveRule:
    """Take a rule away."""

    rule: Rule

    def __str__(self) -> str:
        return f"rule del {self.rule}"


Operation = (
    SetMtu
    | BringUp
    | RemoveAddress
    | AddAddress
    | PutRoute
    | RemoveConnectedRoute
    | AddRule
    | RemoveRule
)
"""Its text is what follows `ip` on a command line."""


class Host(Protocol):
    """A host's links and rules. Methods raise `OSError`."""

    def find_link(self, eni: AttachedEni) -> Link | None:
        """Return the link of an ENI, None while the kernel has none."""

    def rules(self) -> tuple[Rule, ...]:
        """Return the IPv4 rules that this module may have made: no other kind of rule."""

    def apply(self, operation: Operation) -> None:
        """Carry one operation out. What is there already, or gone already, is fine."""
