"""What ENIs need on their host: links, routes and rules.

    settings.py    what the agent's variables say of it
    operations.py  links and rules as values, and what is done to them
    plans.py       which operations an effect takes, by what is there
    network.py     performs a node's effects on a host, or records them
    netlink.py     a host through netlink

    eth0 (primary ENI)   MTU; routed by the main table
    eth1 (device 1)      MTU, up, the ENI's primary address; table 2 routes by the subnet's gateway
    rules                1024   mark 0x80      to main     (answers to NodePort traffic)
                         1535   to a CIDR      to main     (AWS_EXTERNAL_SERVICE_CIDRS)
                         1536   from a pod     to table 2  (pods on secondary ENIs)
                         32765  from an ENI    to table 2  (its primary address)

The plugin sets up pods' own links, and rule 512. What is not done: the SNAT and connmark
chains of iptables or nftables (UpdateHostSNATRules), the sysctls of the init container, IPv6,
security groups for pods (VLANs and branch ENIs), and tables that an image made for other
network cards. Source: pkg/networkutils/network.go of aws/amazon-vpc-cni-k8s v1.23.

May import: cloud, and below.
"""

from ipam_core.cloud.host.network import HostNetwork, Recorder
from ipam_core.cloud.host.settings import HostSettings
from ipam_core.effects import HOST_EFFECTS

__all__ = ["HOST_EFFECTS", "HostNetwork", "HostSettings", "Recorder"]
