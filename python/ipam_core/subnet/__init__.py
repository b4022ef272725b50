"""The operator's questions about subnets: their content, and what to do.

reading     text of the AWS command line and of kubectl as documents
quick       the same with msgspec, where it is installed
inventory   their content in one place
interfaces  network interfaces, and the addresses that each holds
pods        kubectl's list of pods
owners      the kind of owner of a network interface
report      one subnet: its blocks, addresses and owners
orphans     interfaces that are not attached
leaks       the addresses that deleting those of agents frees
drains      which nodes to drain for free /28s
placing     where a CIDR reservation costs least
advice      which of these to do
draw        the addresses that one node takes from its subnet
groups      groups of nodes: at rest, at their peak, in an upgrade
capacity    how many nodes still fit
forecast    how a subnet fragments over time
blockmap    shared by the maps of blocks
live        the same input, read from AWS

May import: diagnosis.explain, cloud, and below.
"""
