"""Types of a simulated node in C (src/ipam_core/_kernel.pyx)."""

from typing import final

from ipam_core._store import DataStore
from ipam_core._values import Sandbox

NEXT_CHECK: int
NEXT_RECONCILE: int
CHECKS_ONLY: int
RUNS_NOTHING: int
RUNS_THROTTLED: int
RUNS: int
FAILED_NOT: int
FAILED_SUBNET_FULL: int
FAILED_THROTTLED: int

@final
class Chance:
    """A node's stream of chance, as a kernel draws from it."""

    def __init__(self, seed: int, number: int) -> None: ...
    def random(self) -> float: ...
    def expovariate(self, lambd: float) -> float: ...

@final
class Samples:
    """Sums over nodes at given times."""

    def __init__(self, times_ns: list[int]) -> None: ...
    def sums(self, number: int) -> tuple[int, ...]: ...

@final
class NodeKernel:
    """A node's pods and its agent's pool checks, played without Python."""

    store: DataStore | None
    due_ns: int
    def __init__(
        self, seed: int, number: int, samples: Samples, *, from_ns: int, now_ns: int
    ) -> None: ...
    def stop(self) -> None: ...
    def name_sandboxes(self) -> dict[Sandbox, Sandbox]: ...
    def has(self, sandbox: Sandbox) -> bool: ...
    def start(
        self,
        store: DataStore,
        settings: object,
        policy: object,
        *,
        slots: int,
        max_pods: int,
        prefix_mode: bool,
        falls_back: bool,
        changes_pool: bool,
    ) -> None: ...
    @property
    def is_ready(self) -> bool: ...
    def add_pods(self, at_ns: int, n_pods: int, rate: float, *, workload: int = 0) -> None: ...
    def set_next(self, kind: int, at_ns: int) -> None: ...
    @property
    def next(self) -> tuple[int, int]: ...
    @property
    def changed_ns(self) -> int | None: ...
    def tell(
        self,
        changed_ns: int | None,
        shrunk_ns: int | None,
        full_ns: int | None,
        *,
        is_clean: bool,
        lacks_trunk: bool,
        most_enis: int,
        running: int,
        failure: int,
    ) -> None: ...
    def note_in_use(self, in_use: int, now_ns: int) -> None: ...
    def peak_in_use(self) -> int: ...
    @property
    def n_pods(self) -> int: ...
    @property
    def n_waiting(self) -> int: ...
    @property
    def n_counted(self) -> int: ...
    @property
    def n_pod_events(self) -> int: ...
    @property
    def n_at_once(self) -> int: ...
    def waits_s(self) -> list[float]: ...
    def asked_ns(self) -> list[int]: ...

def order_after(n_workloads: int) -> int: ...
def advance_all(kernels: list[NodeKernel], until_ns: int, order: int = 0) -> list[int]: ...
def refusals_of(kernels: list[NodeKernel]) -> list[int]: ...
