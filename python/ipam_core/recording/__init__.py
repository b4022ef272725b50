"""The pods of a real cluster as pod events, which fleets play.

    pods.py        a pod's life, and lives as events in order of time
    output.py      the CSV that is written, whole or by appending; resumed where it ended
    times.py       times as options and Kubernetes give them
    prometheus.py  lives out of kube-state-metrics' series in Prometheus
    audit.py       lives out of the API server's audit log
    watch.py       events of a cluster as they happen
    places.py      the subnets of a cluster's nodes, by AWS
    from_cluster.py  a fleet's file of nodes, subnets, settings and recorded pods

May import: k8s, subnet, simulation, and below.
"""
