"""Work that takes over a second: in a process of its own, with progress, and an end.

The process is a new one (`spawn`), so that the server's threads and sockets are not in it,
and is killed when nobody waits for it any more. At most `MOST_AT_ONCE` run at a time.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from ipam_core.errors import InputError, IpamError

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

MOST_AT_ONCE = 2
"""Processes of all pages together."""
_ASKED_EVERY_S = 0.05
_TOLD_EVERY_S = 0.1
_n_running = 0


async def work(
    does: Callable[..., Any],
    *given: Any,
    longest_s: float,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Any:
    """Return `does(*given, on_progress)` of another process; cancelling ends it at once.

    `does` is a function of a module; what it is given and returns is pickled. Its progress is a
    share from 0 to 1.

    Raises:
        InputError: what `does` raised as an `IpamError`; it took longer than `longest_s`; as
            many as may run do; or the process was killed, as where memory runs out.
    """
    global _n_running  # noqa: PLW0603  (of the whole server)
    if _n_running >= MOST_AT_ONCE:
        raise InputError(f"{MOST_AT_ONCE} simulations run already: wait for one, or cancel it")
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, does, given), daemon=True)
    _n_running += 1
    try:
        await asyncio.to_thread(process.start)
        sender.close()
        return await _answer(receiver, time.monotonic() + longest_s, longest_s, on_progress)
    finally:
        _n_running -= 1
        if process.pid is not None:
            process.kill()
            await asyncio.shield(asyncio.to_thread(process.join))
            process.close()
        receiver.close()
        sender.close()


async def _answer(
    receiver: Connection, end: float, longest_s: float, on_progress: Callable[[float], None]
) -> Any:
    while True:
        if not receiver.poll():
            if time.monotonic() > end:
                raise InputError(
                    f"longer than {longest_s:g} s: use the command line, and drop its --json here"
                )
            await asyncio.sleep(_ASKED_EVERY_S)
            continue
        try:
            kind, value = receiver.recv()
        except EOFError:
            raise InputError("the simulation was killed, perhaps because memory ran out") from None
        if kind == "progress":
            on_progress(value)
        elif kind == "refused":
            raise InputError(value)
        else:
            return value


def _child(sender: Connection, does: Callable[..., Any], given: tuple[Any, ...]) -> None:
    """Do the work, and send progress and the end of it."""
    os.nice(5)  # the page answers while it runs
    told = 0.0

    def on_progress(share: float) -> None:
        nonlocal told
        if time.monotonic() - told > _TOLD_EVERY_S:
            told = time.monotonic()
            sender.send(("progress", share))

    with suppress(BrokenPipeError):  # the server is gone
        try:
            sender.send(("done", does(*given, on_progress)))
        except IpamError as error:
            sender.send(("refused", str(error)))
