"""Prometheus metrics of what nobody exports: subnets, and how near each node is to a stall.

    names.py      every metric: its name, labels and meaning
    figures.py    a cluster's nodes and subnets as metrics
    ec2_calls.py  EC2 calls counted, and bounded in each hour
    exporter.py   all of it kept up to date, and the HTTP port

Needs the extra `exporter`.
May import: k8s, subnet, and below.
"""
