"""What a freshly installed package must do, with nothing else installed: run by every release."""

from __future__ import annotations

import sys

import ipam_core
from ipam_core import DataStore, Node, Sandbox, Settings, SimulatedCloud, Subnet, drive, explain


def main() -> None:
    """Use each part once; an assertion fails where one does not work."""
    store = DataStore("prefix")
    store.add_eni("eni-1", device_number=0, primary=True)
    store.add_prefix("eni-1", "10.0.0.16/28")
    assert store.assign(Sandbox("c1"), "default/web-1").address == "10.0.0.16"
    store._check()
    assert len(Subnet("10.0.0.0/24", seed=1).take_addresses(9)) == 9
    cloud = SimulatedCloud("m5.large", seed=1)
    node = Node(cloud.limits, Settings(warm_ip_target=2))
    drive(node.start(), cloud)
    node.add_pod(Sandbox("c1"))
    drive(node.adjust(), cloud)
    assert node.decide().available == 2
    verdict = explain("m8g.4xlarge", {"MINIMUM_IP_TARGET": "25"}).verdict
    assert str(verdict) == "stalls at pod 26 with 207 slots unused"
    sys.stdout.write(f"ipam-core {ipam_core.__version__} works on {sys.version.split()[0]}\n")


if __name__ == "__main__":
    main()
