"""A hundred thousand pods through one store, as NumPy arrays and without the GIL.

    python examples/batches.py [PODS]

A batch names pods by 128-bit digests: an array of shape (n, 2). Sandboxes and texts are made for
those alone that somebody asks about. Needs the extra `batch`.
"""

import sys
import time

import numpy as np

from ipam_core import DataStore, Sandbox


def main(n_pods: int = 100_000) -> None:
    """Assign and release in batches, and name one pod of them."""
    store = DataStore("prefix", cooldown_s=0)
    for eni in range(15):
        store.add_eni(f"eni-{eni}", device_number=eni, primary=eni == 0)
        for slot in range(49):
            third, fourth = divmod(slot * 16, 256)
            store.add_prefix(f"eni-{eni}", f"10.{eni}.{third}.{fourth}/28")
    capacity = store.stats().total

    digests = np.frombuffer(
        b"".join(Sandbox(f"pod-{n}").digest for n in range(capacity)), np.uint64
    ).reshape(-1, 2)
    began, done = time.perf_counter(), 0
    while done < n_pods:
        addresses = store.assign_many(digests)
        store.release_many(digests)
        done += len(digests)
    per_pod_ns = (time.perf_counter() - began) / done * 1e9

    assert len(np.unique(addresses, axis=0)) == capacity
    store.assign_many(digests[:3])
    named = store.find(Sandbox("pod-1"))
    assert named is not None
    print(f"{capacity} addresses; pod-1 has {named.address}; {len(store)} pods")
    print(f"{per_pod_ns:.0f} ns for an assign and a release", file=sys.stderr)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
