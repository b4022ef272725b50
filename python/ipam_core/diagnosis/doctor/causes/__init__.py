"""Each cause's evidence for and against it.

table.py    every cause, in order, with what proves it and what rules it out
start.py    the agent does not start, or cannot be reached
ec2.py      EC2's answers
answers.py  answers of EC2 that no other cause names
denials.py  denials that no policy of the role can lift
limits.py   the agent's view of the instance is wrong: limits, ENIs, metadata
custom.py   custom networking
enis.py     the places for ENIs, and maxPods above them
places.py   shared by these: is every place taken, and how a node gets more
targets.py  the pool's own rules
outside.py  refusals that have nothing to do with the pool
common.py   shared by all

May import: diagnosis.doctor, diagnosis.inputs, diagnosis.fixes, cloud, and below.
"""
