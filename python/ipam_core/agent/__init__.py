"""The agent, running: what a CNI plugin and an operator speak to in place of ipamd.

    agent.py           `Agent`: all of it, started and ended in order
    config.py          what it is started with
    environment.py     variables in addition to the settings
    places.py          where its socket and its log are by default
    protocol/          the messages and services of its gRPC interface, for both sides
    server.py          gRPC on a unix socket: health, reflection, limits
    addresses.py       HOST:PORT, and sockets that somebody serves
    service.py         what a plugin is answered
    pods.py            who answers pods, and when
    loop.py            start, check the pool, reconcile, clean up, save
    clock.py           its time
    observed.py        every effect on its way out: timed, counted, logged, stopped
    watched.py         what is counted of its node
    node_log.py        what its log says of its node
    log.py             the log: the real agent's form, rotated
    introspection.py   /v1/enis and its like
    web.py             HTTP for them
    metrics.py         Prometheus' text
    pool_gauges.py     what of it the stores hold
    surroundings.py    where it runs, as ports
    simulated_host.py  on no cloud at all
    aws_host.py        on EC2, or what speaks as it
    cluster_reader.py  what is read of a node from Kubernetes
    kubernetes.py      what is known of it, while the API server answers and while not
    cluster_pods.py    pods that Kubernetes has and the checkpoint has not
    kubelet.py         starts and ends pods as the kubelet, the runtime and the plugin do
    pod_book.py        the pods that it started, on disk
    pod_workloads.py   a rolling update, a storm

Each part knows its own neighbours only; `Agent` alone knows all. Needs the extra `agent`.

May import: k8s, diagnosis, and below.
"""
