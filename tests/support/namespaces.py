"""Network namespaces that a test makes, and takes away again."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest

_number = itertools.count()


def ip(*arguments, netns=None, text=None):
    """Run `ip` and return what it says; a failure fails the test with its words."""
    command = ["ip", *(("-n", netns) if netns else ()), *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


def ip_json(*arguments, netns):
    """Return what `ip -j` says."""
    return json.loads(ip("-j", *arguments, netns=netns) or "[]")


@contextmanager
def namespace():
    """Make a network namespace of a name that no other test has; skip where none can be made."""
    if shutil.which("ip") is None:
        pytest.skip("needs `ip` (iproute2)")
    name = f"ipam-{os.getpid()}-{next(_number)}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"needs CAP_NET_ADMIN and CAP_SYS_ADMIN: {made.stderr.strip()}")
    try:
        ip("link", "set", "lo", "up", netns=name)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


def add_link(netns, name, mac):
    """Give a namespace a link with a MAC address, as attaching an ENI does."""
    commands = (
        f"link add {name} address {mac} mtu 1500 type veth peer name {name}-peer",
        f"link set {name}-peer up",
    )
    ip("-batch", "-", netns=netns, text="\n".join(commands) + "\n")


def state(netns):
    """Return links, routes and rules of a namespace, but for numbers that chance gives."""
    links = {
        link["ifname"]: (
            link["mtu"],
            "UP" in link["flags"],
            sorted(
                f"{each['local']}/{each['prefixlen']}"
                for each in link["addr_info"]
                if each["family"] == "inet"
            ),
        )
        for link in ip_json("address", "show", netns=netns)
        if "peer" not in link["ifname"]
    }
    routes = sorted(
        json.dumps({key: value for key, value in route.items() if key != "protocol"})
        for route in ip_json("-4", "route", "show", "table", "all", netns=netns)
        if route.get("table") != "local"
    )
    return {"links": links, "routes": routes, "rules": ip_json("-4", "rule", netns=netns)}
