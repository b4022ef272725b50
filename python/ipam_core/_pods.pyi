"""Types of a part of the DataStore: who holds what (src/ipam_core/_pods.pyx)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ipam_core._enis import Enis
from ipam_core._values import Assignment, Sandbox, UsedAddress

class Pods(Enis):
    """The assignments of a store, one by one and in batches."""

    def assign(
        self, sandbox: Sandbox, pod: str | None = None, now_ns: int | None = None
    ) -> Assignment: ...
    def adopt(
        self, sandbox: Sandbox, address: str, pod: str | None = None, now_ns: int | None = None
    ) -> Assignment: ...  # a given address, of either kind; what a restart takes over
    def cool(self, address: str, released_ns: int) -> None: ...  # a restart that keeps cooldowns
    def release(self, sandbox: Sandbox, now_ns: int | None = None) -> Assignment: ...
    def find(self, sandbox: Sandbox) -> Assignment | None: ...
    def find_address(self, address: str) -> Assignment | None: ...
    def assignments(self) -> Iterator[Assignment]: ...
    def used_addresses(self, eni_id: str) -> list[UsedAddress]: ...
    def assign_many(
        self, digests: NDArray[np.uint64], now_ns: int | None = None, *, partial: bool = False
    ) -> NDArray[np.uint64]: ...
    def release_many(
        self, digests: NDArray[np.uint64], now_ns: int | None = None, *, partial: bool = False
    ) -> NDArray[np.uint64]: ...
