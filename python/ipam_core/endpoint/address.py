"""An address that a served VPC listens on, in words and as JSON."""

from __future__ import annotations

from ipam_core._dataclass import dataclass

EC2 = "EC2"
METADATA = "instance metadata"

PREFIX = "/ipam-core/"
"""Where the control endpoint is, on EC2's port: a path that no AWS client asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address: `instance` is whose metadata it is, and `name` its name; "" of any, or EC2's."""

    what: str
    url: str
    instance: str = ""
    name: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return it as JSON has it."""
        found = {"what": self.what, "url": self.url}
        return found | ({"instance": self.instance, "name": self.name} if self.instance else {})

    def __str__(self) -> str:
        """Return what is there, in words."""
        if self.what == EC2:
            return self.what
        return f"{self.what} of {f'{self.instance} ({self.name})' if self.instance else 'any node'}"
