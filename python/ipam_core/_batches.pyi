"""Types of a part of the DataStore: pods by their digests (src/ipam_core/_batches.pyx)."""

import numpy as np
from numpy.typing import NDArray

from ipam_core._pods import Pods

class Batches(Pods):
    """The assignments of a store by digest, one by one in C and many at once."""

    def assign_many(
        self, digests: NDArray[np.uint64], now_ns: int | None = None, *, partial: bool = False
    ) -> NDArray[np.uint64]: ...
    def release_many(
        self, digests: NDArray[np.uint64], now_ns: int | None = None, *, partial: bool = False
    ) -> NDArray[np.uint64]: ...
