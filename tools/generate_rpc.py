"""Generate the messages of the agent's protocol from rpc.proto; see `--help`.

    python tools/generate_rpc.py [--into FOLDER]

Writes rpc_pb2.py and rpc_pb2.pyi next to rpc.proto, or into another folder under the same
path. Needs grpcio-tools (the dependency group `test`); what it writes needs a protobuf
at least as new as that compiler's.
"""

from __future__ import annotations

import argparse
import sys
from importlib.resources import files
from pathlib import Path

SOURCES = Path(__file__).parent.parent / "python"
PROTO = "ipam_core/agent/protocol/rpc.proto"


def main() -> int:
    """Run the compiler; return its status."""
    from grpc_tools import protoc  # noqa: PLC0415  (--help works without it)

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--into", type=Path, default=SOURCES, help="the folder to write under")
    given = parser.parse_args()
    folders = [str(SOURCES), str(files("grpc_tools") / "_proto")]
    status = int(
        protoc.main(
            [
                "protoc",
                *(f"--proto_path={folder}" for folder in folders),
                f"--python_out={given.into}",
                f"--pyi_out={given.into}",
                PROTO,
            ]
        )
    )
    if not status:
        stub = given.into / PROTO.replace(".proto", "_pb2.pyi")
        # The compiler leaves out what a mapping is of, which strict checkers ask for.
        stub.write_text(stub.read_text("utf-8").replace(", _Mapping]", ", _Mapping[str, object]]"))
    return status


if __name__ == "__main__":
    sys.exit(main())
