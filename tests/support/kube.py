"""A client of the served Kubernetes API, for one call or for a coroutine."""

from __future__ import annotations

import asyncio
import json

from ipam_core.k8s.access import Access
from ipam_core.k8s.client import Client
from ipam_core.k8s.connection import Connection


def asked(kubeconfig, act, *, page_size=500, **options):
    """Return what `act(client)` returns, on a connection of its own."""

    async def run():
        access = Access(kubeconfigs=(kubeconfig,))
        async with Connection(access, **options) as connection:
            return await act(Client(connection, page_size=page_size))

    return asyncio.run(run())


def with_token(kubeconfig, token):
    """Write another token into a kubeconfig."""
    found = json.loads(kubeconfig.read_text("utf-8"))
    found["users"][0]["user"]["token"] = token
    kubeconfig.write_text(json.dumps(found), "utf-8")
