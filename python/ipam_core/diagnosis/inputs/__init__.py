"""The files of a node in trouble, read into values.

collect.py      files, directories, archives, standard input: finds the inputs in them
packed.py       bytes that are not UTF-8 text
recognise.py    the kind of a file, by its content; each kind is listed here
case.py         what was read, as one value: the case
enis.py         /v1/enis in its three forms
lines.py        a line of a log, with what tools put around it
log.py          the logs of the agent, its container and the CNI plugin
errors.py       AWS errors in the words of a log
events.py       events of Kubernetes, as objects
described.py    kubectl's output for people: events and descriptions
kubernetes.py   the Node, the kubelet's configuration
variables.py    the agent's variables, in every place where they are set
dig.py          values from JSON that may hold anything
metrics.py      the agent's metrics
checkpoint.py   the agent's checkpoint file
cloudtrail.py   CloudTrail events

May import: ipamd, and below.
"""
