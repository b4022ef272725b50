"""Many nodes with a workload.

spec.py        a fleet as a value; file.py: its format
workload_specs.py  where pods come from, as values; pod_events.py: recorded ones
workloads.py   a process for each; ports.py: what it may do to the fleet
fleet.py       the scheduler, the kubelet's retries, nodes that come and go
members.py     its nodes and pods; region.py: the region it begins in
rollout.py     settings on their way over the nodes
agent.py       a node's agent in time, and the looks it need not make
result.py      what a run gives
"""
