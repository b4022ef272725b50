"""Many nodes with a workload.

spec.py        a fleet as a value; file.py: its format, in parts.py what a served VPC has too;
               bounds.py: the most it may ask for
workload_specs.py  where pods come from, as values
pod_event.py   recorded pods; pod_events.py: as CSV; parquet.py: as Parquet
event_file.py  a file of them that is read while it is played
workloads.py   a process for each; ports.py: its interface to the fleet
fleet.py       the kubelet's retries, nodes that come and go, samples
scheduler.py   which node a pod is put on, and the pods that wait for one
autoscaler.py  starts nodes for pods that wait, and removes nodes; emptied.py: empty ones
members.py     its nodes and pods; region.py: its regions at the start
independent.py the parts that do not touch each other; merging.py: played apart, and put together
rollout.py     new settings, rolled out over the nodes
agent.py       a node's agent in virtual time, and the pool checks left out
resident.py    fleets whose pods stay where they are put, played in C without Python;
               resident_agent.py: an agent there; placing.py: the pods that are put on nodes;
               held.py: nodes whose agents are to be restarted
result.py      the result of a run

May import: simulation, cloud, and below.
"""

from typing import TYPE_CHECKING

from ipam_core._lazy import Load, loader_of

if TYPE_CHECKING:
    from ipam_core.simulation.fleet.fleet import Fleet as Fleet
    from ipam_core.simulation.fleet.fleet import simulate_fleet as simulate_fleet
    from ipam_core.simulation.fleet.fleet import simulate_many as simulate_many
    from ipam_core.simulation.fleet.result import FleetResult as FleetResult
    from ipam_core.simulation.fleet.spec import FleetSpec as FleetSpec

__all__ = [
    "Fleet",
    "FleetResult",
    "FleetSpec",
    "simulate_fleet",
    "simulate_many",
]

__getattr__: Load = loader_of(
    __name__,
    {
        "fleet": ("Fleet", "simulate_fleet", "simulate_many"),
        "result": ("FleetResult",),
        "spec": ("FleetSpec",),
    },
)
