"""The cluster, read live: Kubernetes' API through kr8s, read-only. Needs the extra `k8s`.

access.py       which cluster: a kubeconfig, a context, a service account
connection.py   one API server: requests, time-outs, tokens that expire; every error typed
client.py       lists page by page, watches, texts through the API server's proxies
follow.py       a list, and what changes in it, for as long as it is asked for
objects.py      nodes, pods, the DaemonSet and events as values

Nothing here imports kr8s before a connection is opened.

May import: diagnosis, subnet, and below.
"""
