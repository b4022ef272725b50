"""Questions asked of the model: what a node will do, and why one is stuck.

explain/   will settings serve every pod, and at what price
doctor/    why pods get no address on a node
inputs/    the files that a node and its cluster give
fixes.py   what both advise, as commands

May import: simulation, and below.
"""
