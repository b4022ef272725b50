"""Instance metadata where an agent looks for it: at 169.254.169.254, in each node's network."""

import json
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from ipam_core.endpoint.file import vpc_of
from ipam_core.endpoint.served import APIS, open_vpc
from support.namespaces import ip, namespace

pytest.importorskip("boto3")
IMDS = "169.254.169.254"
SPEC = {
    "subnets": [{"id": "one", "cidr": "10.7.0.0/24"}],
    "nodes": [{"instance_type": "m5.large", "count": 2}],
}
MAIN = "from ipam_core.cli import main; main()"
READ = (
    f"import urllib.request as u; r = u.urlopen('http://{IMDS}/latest/meta-data/instance-id',"
    " timeout=10); print(r.read().decode(), end='')"
)


@contextmanager
def killed_at_last(process):
    """Let no process outlive a test that fails."""
    try:
        yield
    finally:
        process.kill()


def test_the_node_that_asks_is_known_by_its_address_in_a_network_namespace(tmp_path):
    file = tmp_path / "vpc.yaml"
    file.write_text(json.dumps(SPEC))
    serve = ["vpc", "serve", str(file), "--held", "--json"]
    on = ["--host", "0.0.0.0", "--imds", "shared", "--imds-port", "80"]
    # The same file and seed give the same addresses.
    account = open_vpc(vpc_of(SPEC, APIS), held=True).account
    places = {row.instance_id: row.private_address for row in account.instances}
    with namespace() as vpc, namespace() as first, namespace() as second:
        ip("addr", "add", f"{IMDS}/32", "dev", "lo", netns=vpc)
        with (
            subprocess.Popen(
                ["ip", "netns", "exec", vpc, sys.executable, "-c", MAIN, *serve, *on],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as served,
            killed_at_last(served),
        ):
            assert json.loads(served.stdout.readline())["addresses"][1]["url"].endswith(":80")
            found = {}
            pairs = zip((first, second), places.items(), strict=True)
            for number, (node, (instance, address)) in enumerate(pairs, 1):
                link = f"node{number}"
                ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", node,
                   netns=vpc)  # fmt: skip
                ip("addr", "add", f"169.254.{number}.1/32", "dev", link, netns=vpc)
                ip("link", "set", link, "up", netns=vpc)
                ip("route", "add", f"{address}/32", "dev", link, netns=vpc)
                ip("addr", "add", f"{address}/32", "dev", "eth0", netns=node)
                ip("link", "set", "eth0", "up", netns=node)
                ip("route", "add", f"{IMDS}/32", "dev", "eth0", "src", address, netns=node)
                found[instance] = subprocess.run(
                    ["ip", "netns", "exec", node, sys.executable, "-S", "-c", READ],
                    capture_output=True,
                    text=True,
                    check=True,
                    timeout=30,
                ).stdout
            served.send_signal(signal.SIGTERM)
            _, err = served.communicate(timeout=20)
        assert found == {instance: instance for instance in places}
        assert served.returncode == 0
        assert "0.0.0.0 is not loopback" in err
