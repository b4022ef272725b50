"""Types of a part of the DataStore: what it was made with (src/ipam_core/_shared.pyx)."""

from typing import ClassVar, Literal

_Mode = Literal["secondary-ip", "prefix", "mixed", "ipv6"]
_Placement = Literal["pack", "first", "spread", "arbitrary"]

class Shared:
    """A store's pool, and the lock and the clock of its callers."""

    MAX_ENIS: ClassVar[int]
    MAX_SLOTS: ClassVar[int]

    def __init__(
        self,
        mode: _Mode = "secondary-ip",
        *,
        cooldown_s: float = 30,
        placement: _Placement = "pack",
        seed: int = 0,
        given_time: bool = False,
    ) -> None: ...
    @property
    def mode(self) -> _Mode: ...
    @mode.setter
    def mode(self, mode: _Mode) -> None: ...  # the other kind drains (section 3)
    @property
    def cooldown_ns(self) -> int: ...
    @property
    def placement(self) -> _Placement: ...
    @property
    def given_time(self) -> bool: ...
