"""Play nodes in virtual time: one by a scenario, or many with a workload.

engine.py      virtual time: the clock and its queue
processes.py   steps of nodes whose calls take some of it
scenario/      one node: a scenario as a value, played and checked
fleet/         many nodes: the scheduler, workloads, rollouts
kubelet.py     when the kubelet tries a pod again
executing.py   calls that an executor makes, again where a process died
simulate.py    one call that plays a scenario or a fleet
files.py       reads a file of either
given_types.py instance types whose limits are given next to a file
validation.py  values of files, checked one by one

May import: ipamd, cloud, and below.
"""
