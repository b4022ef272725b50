"""A VPC that real clients talk to: EC2's Query API over the simulated region.

    query.py        requests parsed, replies and errors built, for ec2, sts and eks
    models.py       botocore's service models, loaded once
    requests.py     parameters of a request as values, by the model
    replies.py      replies as XML and JSON, by the model
    vpc.py          the VPC: one account and region, and `Vpc.call`
    resources.py    instances, interfaces, subnets and groups as the VPC keeps them
    described.py    resources as EC2 shows them
    account.py      all resources of an account, and the changes that take time
    saved.py        an account as a plain value, and back
    ipv6.py         a subnet's IPv6 addresses
    tables.py       rows in order, with indices: what Describe calls read
    indices.py      by what they are found
    filters.py      filters of Describe calls
    pages.py        MaxResults and NextToken
    client_tokens.py  the same request again
    arguments.py    what actions read of their parameters, checked
    actions/        one function for each action

    file.py         a VPC's file, in the format of a fleet's
    served.py       a VPC with its time, gate, metadata and trail
    clock.py        time: real, scaled, held, moved
    gate.py         how a call goes through: throttling, latency, faults
    callers.py      who makes a call
    metadata.py     what each instance's metadata shows; imds.py: its sessions and paths
    trail.py        calls as CloudTrail records them
    state.py        a served VPC as a file; plain.py: values as JSON, and back
    control.py      the control endpoint; client.py: its client
    faces.py        what EC2's port answers; listen.py: HTTP ports
    address.py      an address that is listened on
    server.py       all of it served, in a loop or in a thread

May import: simulation, and below.
"""
