"""A process that assigns and releases at full speed until it is killed, telling each change.

    python tests/support/checkpoint_worker.py PATH DURABILITY SEED N_THREADS [N_CHANGES]

It writes "? assign N" before it asks for a change and "! assign N ADDRESS" once that is
acknowledged, each with one write of its own. A new file gets a store of 64 addresses. With 0
threads it is the main thread that does so.
"""

from __future__ import annotations

import os
import random
import sys
import threading

from ipam_core import DataStore, Sandbox
from ipam_core.checkpoint import Checkpoint, DurableStore, restore
from ipam_core.errors import PoolExhaustedError

N_SANDBOXES = 48


def sandbox(number):
    return Sandbox(f"{number:064x}")


def new_store():
    """A store whose addresses do not cool: what one thread releases another gets at once."""
    store = DataStore("prefix", cooldown_s=0)
    store.add_eni("eni-0", device_number=0)
    for number in range(2):
        store.add_prefix("eni-0", f"10.0.0.{number * 16}/28")
    return store


def tell(line):
    os.write(1, f"{line}\n".encode())


def run(durable, numbers, chance, n_changes):
    """Change the state of one's own sandboxes, one at a time."""
    while n_changes:
        number = chance.choice(numbers)
        if durable.store.find(sandbox(number)) is None:
            tell(f"? assign {number}")
            try:
                address = durable.assign(sandbox(number), f"default/web-{number}").address
            except PoolExhaustedError:
                tell(f"! refused {number} -")
                continue
            tell(f"! assign {number} {address}")
        else:
            tell(f"? release {number}")
            tell(f"! release {number} {durable.release(sandbox(number)).address}")
        n_changes -= 1


def main(path, durability, seed, n_threads, n_changes=-1):
    checkpoint = Checkpoint(path, durability=durability)
    if checkpoint.load_layout() is None:
        checkpoint.save_layout(new_store())
    durable = DurableStore(restore(checkpoint).store, checkpoint)
    tell("ready")
    works = [
        (
            durable,
            range(thread, N_SANDBOXES, int(n_threads) or 1),
            random.Random(f"{seed} {thread}"),
            int(n_changes),
        )
        for thread in range(int(n_threads) or 1)
    ]
    threads = [threading.Thread(target=run, args=work) for work in works]
    if n_threads == "0":
        run(*works[0])
        threads = []
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    checkpoint.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
