"""What a node in trouble leaves behind, read into values.

collect.py      files, directories, archives, standard input: find what is in them
packed.py       bytes that are no UTF-8 text
recognise.py    what a file is, by what it holds
case.py         what was read, as one value: the case
enis.py         /v1/enis in its three forms
lines.py        a line of a log, in whatever a tool wrapped it
log.py          the logs of the agent, its container and the CNI plugin
errors.py       AWS errors as a log words them
events.py       events of Kubernetes, as objects
described.py    what kubectl prints for people: events and descriptions
kubernetes.py   the Node, the kubelet's configuration
variables.py    the agent's variables, wherever they are set
dig.py          values taken out of JSON that may hold anything
metrics.py      the agent's metrics
checkpoint.py   the agent's checkpoint file
cloudtrail.py   CloudTrail events

May import: ipamd, and below.
"""
