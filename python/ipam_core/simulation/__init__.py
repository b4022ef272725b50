"""Play nodes in virtual time: one by a scenario, or many with a workload.

One node:
    scenario.py      the scenario format: a node's life as a value
    player.py        play a scenario
    observing.py     what an `expect` looks at
    checking.py      compare it with what is expected
    timeline.py      what playing gives
    restarts.py      what a restarted agent finds
Fleets:
    fleet_spec.py    a fleet as a value
    workloads.py     where pods come from; pod_events.py: recorded ones
    fleet.py         the scheduler, the kubelet's retries, nodes that come and go
    fleet_members.py its nodes and pods; fleet_region.py: the region it begins in
    rollouts.py      settings on their way over the nodes
    agent.py         a node's agent in time, and the looks it need not make
    engine.py        virtual time; steps whose calls take some of it
    fleet_result.py  what a run gives
Files:
    files.py         a scenario's or a fleet's
    fleet_file.py    the fleet format
    reading.py       values checked one by one
"""
