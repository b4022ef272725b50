"""The cluster, read live: Kubernetes' API through kr8s. Needs the extra `k8s`.

It is read-only, except for the pod that debug_pod.py runs on request.

access.py       which cluster: a kubeconfig, a context, a service account
connection.py   one API server: requests, time-outs, tokens that expire; every error typed
account.py      a service account's few reads, without kr8s
client.py       lists page by page, watches, texts through the API server's proxies
follow.py       a list, and what changes in it, for as long as it is asked for
objects.py      nodes, pods, the DaemonSet and events as values

reading.py      what `ipam-core cluster` reads; watching.py: the same, kept up to date
census.py       pods counted by node
agents.py       what each aws-node pod reports of its pool
judging.py      each node judged, equal ones together
overview.py     all that is shown, as JSON's types too
subnets.py      the subnets of the nodes, by AWS

node_files.py   what `ipam-core doctor NODE` collects, without secrets
debug_pod.py    a pod on the node that reads ipamd.log

Nothing here imports kr8s before a connection is opened.

May import: diagnosis, subnet, and below.
"""
