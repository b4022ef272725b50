"""Types of the compiled DataStore (src/ipam_core/_store.pyx holds the docstrings)."""

from typing import final

import numpy as np
from numpy.typing import NDArray

from ipam_core._saved import Saved
from ipam_core._values import Assignment as Assignment
from ipam_core._values import Eni as Eni
from ipam_core._values import EniStats as EniStats
from ipam_core._values import FreeEniAnswer as FreeEniAnswer
from ipam_core._values import PoolStats as PoolStats
from ipam_core._values import Sandbox as Sandbox
from ipam_core._values import UsedAddress as UsedAddress

@final
class DataStore(Saved):
    """One network card's ENIs and their addresses."""

    def stats(self, now_ns: int | None = None, network_card: int | None = None) -> PoolStats: ...
    def eni_stats(self, eni_id: str, now_ns: int | None = None) -> EniStats: ...
    def next_cool_ns(self, now_ns: int | None = None) -> int | None: ...  # when the first one ends
    def growable_enis(self, max_slots: int) -> list[str]: ...  # a free slot, not excluded
    def find_freeable_eni(
        self,
        *,
        warm_ip: int,
        minimum_ip: int,
        warm_prefix: int,
        min_age_s: float = 60,
        now_ns: int | None = None,
    ) -> FreeEniAnswer: ...
    def free_counts(self, now_ns: int | None = None) -> NDArray[np.uint32]: ...
    def assignment_ages_ns(self, now_ns: int | None = None) -> NDArray[np.int64]: ...

    # the whole state
    @classmethod
    def restore(cls, snapshot: bytes) -> DataStore: ...
    def _check(self) -> None: ...
