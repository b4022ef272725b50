"""Questions about a node: what it will do, and why one is stuck.

explain/   whether settings serve every pod, and at what price
doctor/    why pods get no address on a node
inputs/    reads the files of a node and its cluster
fixes.py   the advice of both, as commands

May import: simulation, and below.
"""
