"""Types of a part of the DataStore: its ENIs (src/ipam_core/_enis.pyx)."""

from ipam_core._shared import Shared
from ipam_core._values import Assignment, Eni

class Enis(Shared):
    """The ENIs of a store."""

    def add_eni(
        self,
        eni_id: str,
        *,
        device_number: int,
        network_card: int = 0,
        primary: bool = False,
        trunk: bool = False,
        efa: bool = False,
        excluded: bool = False,
        created_ns: int | None = None,  # monotonic; None: now
        subnet_id: str = "",
        route_table: int = 0,
    ) -> None: ...
    def remove_eni(self, eni_id: str, *, force: bool = False) -> list[Assignment]: ...
    def exclude_eni(self, eni_id: str) -> None: ...
    def include_eni(self, eni_id: str) -> None: ...
    def eni(self, eni_id: str) -> Eni: ...
    def enis(self) -> tuple[Eni, ...]: ...  # by device number
    def turns(self, *, copied: bool = False) -> list[str]: ...  # as the agent's rules take them
    def __contains__(self, eni_id: object, /) -> bool: ...
