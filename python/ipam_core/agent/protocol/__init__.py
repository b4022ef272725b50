"""The agent's gRPC interface, as the VPC CNI has it.

    rpc.proto     its services and messages
    rpc_pb2.py    the messages in Python, generated (tools/generate_rpc.py)
    services.py   the services: handlers for a server, calls for a client
    client.py     what a CNI plugin does: ask an agent

Needs the extra `agent`. May import: errors, _extras, and below.
"""

from __future__ import annotations

from ipam_core._extras import extra

with extra("agent", "the agent's gRPC interface"):
    import google.protobuf  # noqa: F401
    import grpc  # noqa: F401
