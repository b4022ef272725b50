"""A DataStore whose assignments are durable before anybody hears of them."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ipam_core.checkpoint.checkpoint import monotonic_ns
from ipam_core.checkpoint.restoring import adopt, unassign
from ipam_core.errors import (
    AddressInUseError,
    DuplicateError,
    UnknownAddressError,
    UnknownSandboxError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ipam_core._store import Assignment, DataStore, Sandbox
    from ipam_core.checkpoint.checkpoint import Checkpoint
    from ipam_core.checkpoint.entry import Entry


class DurableStore:
    """Assigns and releases out of a store, each change in the checkpoint first.

    For threads: calls for one sandbox wait for each other, so that none is told of
    what is not durable yet; all others share syncs. Whatever else a store does is done
    on `store` itself. `aside` is what `restore` kept aside: such an address is given
    back to its own sandbox when it is attached again, never to another.

    An assignment is made in the store, written, and taken back when it cannot be
    written. A release is written first and made in the store after, so that no other
    sandbox gets the address before the release is durable.
    """

    def __init__(
        self,
        store: DataStore,
        checkpoint: Checkpoint,
        *,
        network_card: int = 0,
        aside: Iterable[Entry] = (),
    ) -> None:
        self.store = store
        self.checkpoint = checkpoint
        self.network_card = network_card
        self._aside = {entry.address: entry for entry in aside}
        self._aside_lock = threading.Lock()
        self._turns = threading.Condition()
        self._changing: set[Sandbox] = set()

    def assign(
        self, sandbox: Sandbox, pod: str | None = None, now_ns: int | None = None
    ) -> Assignment:
        """Assign an address durably; a sandbox that has one keeps it.

        Raises:
            PoolExhaustedError: nothing can be given now.
            CheckpointWriteError: it could not be made durable; the address is free again
                and does not cool.
        """
        with self._turn_of(sandbox):
            while True:
                held = self.store.find(sandbox)
                if held is not None:
                    return held
                assignment = self.store.assign(sandbox, pod, now_ns)
                if assignment.address not in self._aside:
                    break
                unassign(self.store, assignment)
                self.take_back(now_ns)
            old = self._aside_of(sandbox)
            try:
                self.checkpoint.record_assigned(
                    assignment, network_card=self.network_card, forgotten=old
                )
            except BaseException:
                unassign(self.store, assignment)
                raise
            for address in old:
                self._aside.pop(address, None)
            return assignment

    def release(self, sandbox: Sandbox, now_ns: int | None = None) -> Assignment | None:
        """Release durably what a sandbox holds, and let it cool; return what it held.

        None: its address was kept aside, and is forgotten now.

        Raises:
            UnknownSandboxError: it holds nothing.
            CheckpointWriteError: it could not be made durable; the sandbox holds its
                address as before.
        """
        with self._turn_of(sandbox):
            if self._forget_aside(sandbox):
                return None
            held = self.store.find(sandbox)
            if held is None:
                raise UnknownSandboxError(sandbox)
            self.checkpoint.record_released(held, network_card=self.network_card)
            try:
                return self.store.release(sandbox, now_ns)
            except UnknownSandboxError:  # removed by force with its ENI meanwhile
                return held

    def take_back(self, now_ns: int | None = None) -> list[Assignment]:
        """Give addresses kept aside that are attached now to their sandboxes again.

        To be called when addresses were attached. `assign` does it too before it could
        give one of them away.
        """
        wall_ns, store_ns = self.checkpoint.wall_clock_ns(), monotonic_ns(now_ns)
        adopted = []
        with self._aside_lock:
            for address, entry in list(self._aside.items()):
                try:
                    adopted.append(adopt(self.store, entry, wall_ns, store_ns))
                except (UnknownAddressError, DuplicateError, AddressInUseError):
                    continue  # not there; it asked again; another thread is about to give it up
                del self._aside[address]
        return adopted

    @property
    def aside(self) -> tuple[Entry, ...]:
        """What is kept aside still."""
        return tuple(self._aside.values())

    def save_layout(self, now_ns: int | None = None) -> None:
        """Keep the store's layout: to be called when ENIs or addresses came or went."""
        self.checkpoint.save_layout(self.store, self.network_card, now_ns)

    def _aside_of(self, sandbox: Sandbox) -> list[str]:
        return [address for address, entry in self._aside.items() if entry.sandbox == sandbox]

    def _forget_aside(self, sandbox: Sandbox) -> bool:
        """Forget, durably, what is kept aside for a sandbox; return whether anything was."""
        with self._aside_lock:
            addresses = self._aside_of(sandbox)
            self.checkpoint.settle(forgotten=addresses)
            for address in addresses:
                del self._aside[address]
        return bool(addresses)

    @contextmanager
    def _turn_of(self, sandbox: Sandbox) -> Iterator[None]:
        """Hold off other calls for the same sandbox."""
        with self._turns:
            while sandbox in self._changing:
                self._turns.wait()
            self._changing.add(sandbox)
        try:
            yield
        finally:
            with self._turns:
                self._changing.remove(sandbox)
                self._turns.notify_all()
