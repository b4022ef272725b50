"""The operator's questions about subnets: what is in them, and what to do about it.

reading     text of the AWS command line and of kubectl as documents
inventory   what they say, put together
interfaces  network interfaces, and what each holds
pods        kubectl's list of pods
owners      whom a network interface belongs to
report      one subnet: its blocks, addresses and owners
orphans     interfaces attached to nothing
leaks       what deleting those of agents gives back
drains      which nodes to drain for whole free /28s
placing     where a CIDR reservation costs least
advice      which of these to do
draw        what one node takes from its subnet
groups      groups of nodes: at rest, at their peak, in an upgrade
capacity    how many nodes still fit
forecast    how a subnet fragments over time
blockmap    what maps of blocks have in common
live        the same input, read from AWS

May import: diagnosis.explain, cloud, and below.
"""
