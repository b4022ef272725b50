"""A daemon on a unix socket that gives pods addresses, each on disk before it is reported.

    python examples/socket_daemon.py SOCKET CHECKPOINT [INSTANCE-TYPE]
    ADD CONTAINER NAMESPACE/POD     answers "10.0.1.7" or "error: ..."
    DEL CONTAINER                   answers the address that is let go

One event loop serves every client: durable calls that overlap share syncs to the disk, and a step
of the node waits for EC2 (here a simulated one) without blocking them.
"""

import asyncio
import signal
import sys

from ipam_core import Checkpoint, DurableNode, Node, Sandbox, Settings, SimulatedCloud, adrive
from ipam_core.errors import IpamError

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def answer(pods: DurableNode, line: str) -> str:
    """Carry one line out."""
    try:
        verb, container, *pod = line.split()
        if verb == "ADD":
            return (await pods.aadd_pod(Sandbox(container), *pod)).address
        held = await pods.aremove_pod(Sandbox(container))
        return " ".join(assignment.address for assignment in held)
    except (IpamError, ValueError) as error:
        return f"error: {error}"


async def keep_pool(node: Node, cloud: SimulatedCloud, checkpoint: Checkpoint) -> None:
    """Check the pool every five seconds, and compare it with EC2 when that is due."""
    while True:
        await asyncio.sleep(5)
        await adrive(node.adjust(), cloud, checkpoint)
        await adrive(node.reconcile(), cloud, checkpoint)


async def main(socket: str, path: str, instance_type: str = "m5.large") -> None:
    """Serve until SIGTERM."""
    cloud = SimulatedCloud(instance_type, seed=1)
    node = Node(cloud.limits, Settings(warm_ip_target=5))
    with Checkpoint(path) as checkpoint:
        pods = DurableNode(node, checkpoint)
        await adrive(node.start(), cloud, checkpoint)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := (await reader.readline()).decode():
                writer.write((await answer(pods, line)).encode() + b"\n")
                await writer.drain()
            writer.close()

        stopped = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
        server = await asyncio.start_unix_server(serve, socket)
        keeper = asyncio.create_task(keep_pool(node, cloud, checkpoint))
        print("ready", flush=True)
        await stopped.wait()
        keeper.cancel()
        server.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
