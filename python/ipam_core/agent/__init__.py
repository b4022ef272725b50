"""The agent, running: what a CNI plugin and an operator speak to in place of ipamd.

    protocol/    the messages and services of its gRPC interface, for both sides
    places.py    where its socket and its log are by default
    server.py    gRPC on a unix socket: health, reflection, limits
    kubernetes.py  what Kubernetes knows of the node
    kubelet.py   starts and ends pods as the kubelet, the runtime and the plugin do
    pod_book.py  the pods that it started, on disk
    pod_workloads.py  a rolling update, a storm

Needs the extra `agent`. May import: diagnosis, and below.
"""
