"""The operator's questions about subnets: what is in them, and what to do about it.

inventory   what the AWS command line prints, read and put together
owners      whom a network interface belongs to
report      one subnet: its blocks, addresses and owners
orphans     interfaces attached to nothing
leaks       what deleting those of agents gives back
drains      which nodes to drain for whole free /28s
placing     where a CIDR reservation costs least
capacity    how many nodes still fit
forecast    how a subnet fragments over time
blockmap    what maps of blocks have in common
plot        pictures of blocks and forecasts
live        the same input, read from AWS
"""
