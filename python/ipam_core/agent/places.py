"""Where an agent's files and ports are, unless somebody says otherwise.

Those of a node are upstream's (pkg/ipamd/rpc_handler.go, introspect.go and
pkg/utils/logger/config.go of aws/amazon-vpc-cni-k8s), so that its plugin and its scripts
find this agent. A simulated node needs no root: its files are in a folder of the user's own.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

NODE_SOCKET = Path("/var/run/aws-node/ipamd.sock")
"""What the CNI plugin dials."""
NODE_LOG = Path("/host/var/log/aws-routed-eni/ipamd.log")
"""As the agent's container sees it; on the host it is under /var/log/aws-routed-eni."""
INTROSPECTION = "127.0.0.1:61679"
METRICS = "127.0.0.1:61678"
"""Upstream's ports; its metrics are on every interface, these on the loopback only."""


def user_folder() -> Path:
    """Return the folder of this user's simulated agent: of $XDG_RUNTIME_DIR, or of /tmp."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return Path(runtime) / "ipam-core"
    return Path(tempfile.gettempdir()) / f"ipam-core-{os.getuid()}"


def user_socket() -> Path:
    """Return the socket of this user's simulated agent."""
    return user_folder() / "ipamd.sock"


def user_log() -> Path:
    """Return the log of this user's simulated agent."""
    return user_folder() / "ipamd.log"


def log_of(socket: Path) -> Path:
    """Return the log of an agent with a socket of its own: next to it, and called alike."""
    return socket.with_name(f"{socket.name.removesuffix('.sock')}.log")


def find_socket() -> Path:
    """Return the socket to ask where none is named: the user's agent's, else the node's.

    Where neither is there it is the user's, for an error to name.
    """
    if not user_socket().exists() and NODE_SOCKET.exists():
        return NODE_SOCKET
    return user_socket()
