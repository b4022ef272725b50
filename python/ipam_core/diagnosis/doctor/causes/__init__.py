"""The causes that `diagnose` judges, by where they lie.

ec2.py      what EC2 answers; the node's own state
enis.py     no place for an ENI or an address
targets.py  settings that let the pool stop
"""
