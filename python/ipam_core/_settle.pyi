"""Types of the states at rest (src/ipam_core/_settle.pyx)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ipam_core.instances import InstanceLimits
from ipam_core.policy import Policy
from ipam_core.settings import Settings

_Rest = tuple[int, int, int, int, int, bool, bool]

def settle_rows(
    kinds: Sequence[tuple[InstanceLimits, bool]],
    settings: Settings,
    policy: Policy,
    kind_of: NDArray[np.int64],
    max_pods: NDArray[np.int64],
    n_pods: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None: ...
def settle_one(
    limits: InstanceLimits,
    settings: Settings,
    policy: Policy,
    starts: bool,
    max_pods: int,
    n_pods: int,
) -> _Rest: ...
def climb_one(
    limits: InstanceLimits,
    settings: Settings,
    policy: Policy,
    starts: bool,
    max_pods: int,
    n_pods: int,
) -> tuple[_Rest, _Rest, int, int]: ...
