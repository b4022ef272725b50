"""A node agent on EC2: gives pods addresses, as lines on standard input ask for them.

    python examples/live_node.py CHECKPOINT [INSTANCE-ID [ENDPOINT-URL]]
    add CONTAINER NAMESPACE/POD     prints the pod's address, once it is on disk
    del CONTAINER                   prints the address that is let go

Settings are the agent's environment variables, WARM_IP_TARGET and its like. INSTANCE-ID
left out is the instance that this runs on, as its metadata service tells.
"""

import os
import sys
import threading
import time
from contextlib import suppress

from ipam_core import IPAM_CORE, AwsCloud, Checkpoint, DurableNode, Node, Sandbox, Settings, drive
from ipam_core.errors import IpamError
from ipam_core.instances import limits


def keep_pool(node: Node, cloud: AwsCloud, pods: DurableNode, stopped: threading.Event) -> None:
    """Look and reconcile, and every half hour tidy up, until stopped."""
    n_looks = 0
    while not stopped.wait(5):
        drive(node.adjust(), cloud)
        drive(node.reconcile(), cloud)
        n_looks += 1
        if n_looks % 360 == 0:
            with suppress(IpamError):  # the next time may do better; EC2's errors are logged
                pods.save_layout()  # forgets what has cooled, too
                drive(node.clean_leaked(time.time()), cloud)


def main(path: str, instance_id: str = "", endpoint_url: str | None = None) -> None:
    """Serve pods until standard input ends."""
    with Checkpoint(path) as checkpoint:
        cloud = AwsCloud(instance_id=instance_id, endpoint_url=endpoint_url, checkpoint=checkpoint)
        settings = Settings.from_env(os.environ)
        node = Node(limits(cloud.instance.instance_type), settings, policy=IPAM_CORE)
        drive(node.start(), cloud)
        pods = DurableNode(node, checkpoint)
        stopped = threading.Event()
        keeper = threading.Thread(target=keep_pool, args=(node, cloud, pods, stopped), daemon=True)
        keeper.start()
        for line in sys.stdin:
            try:
                verb, container, *pod = line.split()
                who = Sandbox(container)
                held = [pods.add_pod(who, *pod)] if verb == "add" else pods.remove_pod(who)
                print(*[a.address for a in held] or ["was not attached"], flush=True)
            except (IpamError, ValueError) as error:
                print("error:", error, flush=True)
        stopped.set()
        keeper.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
