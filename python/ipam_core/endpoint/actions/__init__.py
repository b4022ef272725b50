"""One function for each action: it checks everything, then changes, and returns the reply.

A function takes the account and the parameters, both by botocore's names, and raises
`Ec2Error`. Nothing has changed then.

    table.py         which function is which action
    enis.py          Create-, Delete-, ModifyNetworkInterface...
    describe_enis.py DescribeNetworkInterfaces
    attachments.py   Attach- and DetachNetworkInterface
    addresses.py     Assign- and Unassign..., IPv4 and IPv6
    interfaces.py    how an interface is made, for an instance too
    tags.py          Create-, Delete- and DescribeTags
    instances.py     Run- and TerminateInstances
    describe_instances.py  DescribeInstances, DescribeInstanceTypes
    subnets.py       Create- and DescribeSubnets
    reservations.py  CIDR reservations of subnets
    places.py        VPCs, security groups, availability zones
    identity.py      STS and EKS

May import: endpoint, and below.
"""
