"""A node agent on EC2: gives pods addresses, as lines on standard input ask for them.

    add CONTAINER NAMESPACE/POD     prints the pod's address, once it is on disk
    del CONTAINER                   prints the address that is let go

    python examples/live_node.py CHECKPOINT [INSTANCE-ID [ENDPOINT-URL]]

Settings are the agent's environment variables, WARM_IP_TARGET and its like. INSTANCE-ID
left out is the instance that this runs on, as its metadata service tells.
"""

import os
import sys
import threading
import time
from contextlib import suppress

from ipam_core import IPAM_CORE, AwsCloud, Node, Sandbox, Settings, drive
from ipam_core.checkpoint import Checkpoint, DurableStore
from ipam_core.errors import IpamError
from ipam_core.instances import limits


def keep_pool(node: Node, cloud: AwsCloud, stopped: threading.Event) -> None:
    """Look, reconcile, and every half hour delete leaked ENIs, until stopped."""
    n_looks = 0
    while not stopped.wait(5):
        drive(node.look(), cloud)
        drive(node.reconcile(), cloud)
        n_looks += 1
        if n_looks % 360 == 0:
            with suppress(IpamError):  # AwsCloud has logged it; the next run may do better
                drive(node.clean_leaked(time.time()), cloud)


def main(path: str, instance_id: str = "", endpoint_url: str | None = None) -> None:
    """Serve pods until standard input ends."""
    with Checkpoint(path) as checkpoint:
        cloud = AwsCloud(instance_id=instance_id, endpoint_url=endpoint_url, checkpoint=checkpoint)
        kind = limits(cloud.instance.instance_type)
        node = Node(kind, Settings.from_env(os.environ), policy=IPAM_CORE)
        drive(node.start(), cloud)
        pods, stopped = DurableStore(node.store, checkpoint), threading.Event()
        keeper = threading.Thread(target=keep_pool, args=(node, cloud, stopped), daemon=True)
        keeper.start()
        for line in sys.stdin:
            try:
                verb, container, *pod = line.split()
                change = pods.assign if verb == "add" else pods.release
                print(change(Sandbox(container), *pod).address, flush=True)
            except (IpamError, ValueError) as error:
                print("error:", error, flush=True)
        stopped.set()
        keeper.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
