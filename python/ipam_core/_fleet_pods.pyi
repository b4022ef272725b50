"""Types of a fleet's pods and their scheduler in C (src/ipam_core/_fleet_pods.pyx)."""

from typing import final

from ipam_core._kernel import NodeKernel

MOST_GROUPS: int

@final
class FleetPods:
    """The pods of a fleet that come in waves or as recorded, the scheduler, and its queue."""

    def __init__(
        self,
        n_groups: int,
        daemon_sets: list[tuple[int, int | None]],
        times_ns: list[int],
        from_ns: int,
    ) -> None: ...
    def add_node(self, kernel: NodeKernel, group: int, room: int) -> None: ...
    def join(self, number: int, now_ns: int) -> None: ...
    def occupy(self, number: int, at_ns: int, workload: int, n_pods: int) -> None: ...
    def add_wave(
        self,
        workload: int,
        *,
        at_ns: int,
        over_ns: int,
        n_pods: int,
        life_ns: int | None,
        every_ns: int | None,
        group: int | None,
    ) -> None: ...
    def add_deployment(
        self,
        workload: int,
        *,
        n_pods: int,
        surge: int,
        unavailable: int,
        ready_ns: int,
        updates_ns: list[int],
        group: int | None,
    ) -> None: ...
    def add_trace(self, workload: int) -> int: ...
    def feed(
        self,
        number: int,
        events: list[tuple[int, int, int | None, bool]],
        n_pods: int,
        *,
        is_whole: bool,
    ) -> None: ...
    def add_name(self, node: int | None) -> int: ...
    def name(self, number: int, node: int) -> None: ...
    def collect(self) -> None: ...
    def place(self, until_ns: int, *, with_workloads: bool = False) -> int | None: ...
    @property
    def next_ns(self) -> int: ...
    @property
    def n_unplaced(self) -> int: ...
    @property
    def n_refused(self) -> int: ...
    def sample(self, number: int) -> tuple[int, int]: ...
    def asked_ns(self) -> list[int]: ...
