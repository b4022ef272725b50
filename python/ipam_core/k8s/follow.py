"""A list, and what changes in it, for as long as it is asked for."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from ipam_core.errors import GoneError, ThrottledError, UnreachableError
from ipam_core.k8s.client import EVERYTHING, WATCH_S

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from ipam_core.errors import CloudError
    from ipam_core.k8s.client import Client, Resource, Selection

LISTING, LISTED, SYNCED = "LISTING", "LISTED", "SYNCED"
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0


class Followed(NamedTuple):
    """One thing that happened.

    `LISTING`: a list begins. `LISTED`: an object of it. `SYNCED`: it is complete: an object that
    was not in it is gone. Then "ADDED", "MODIFIED", "DELETED" as a watch says them, and
    "BOOKMARK" without an object. `resource_version` is where a later `follow` may go on.
    """

    kind: str
    item: dict[str, Any]
    resource_version: str = ""


async def follow(
    client: Client,
    resource: Resource,
    selection: Selection = EVERYTHING,
    *,
    since: str = "",
    for_s: int = WATCH_S,
    on_failure: Callable[[CloudError], None] = lambda _: None,
    on_open: Callable[[], None] = lambda: None,
) -> AsyncGenerator[Followed, None]:
    """Yield a list and every change of it, without end.

    With `since`, of an earlier run, the list is left out as long as the server knows what
    changed after it. A server that does not answer is asked again after 1 s, then after twice as
    long, up to 30 s; `on_failure` is called, and `on_open` when it answers a watch.

    Raises:
        DeniedError, NotFoundError, CloudError: the server refuses; asking again is no use.
    """
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            if not since:
                version = ""
                async for page in client.pages(resource, selection):
                    if page.first:
                        yield Followed(LISTING, {})
                    version = page.resource_version
                    for item in page.items:
                        yield Followed(LISTED, item)
                since = version
                yield Followed(SYNCED, {}, since)
                pause_s = FIRST_PAUSE_S
            changes = client.watch(resource, since, selection, for_s=for_s, on_open=on_open)
            began_s, changed = time.monotonic(), False
            async for change in changes:
                changed = True
                since = change.resource_version or since
                item = {} if change.kind == "BOOKMARK" else change.item
                yield Followed(change.kind, item, since)
                pause_s = FIRST_PAUSE_S
            if not changed and time.monotonic() - began_s < FIRST_PAUSE_S:
                await asyncio.sleep(FIRST_PAUSE_S)  # something on the way ends watches at once
        except GoneError:
            if not since:  # while it was listed: it changes faster than it is read
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            since = ""
        except (UnreachableError, ThrottledError) as failure:
            on_failure(failure)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
