"""A DataStore whose assignments are durable before anybody hears of them."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ipam_core.checkpoint.restore import unassign
from ipam_core.errors import PoolExhaustedError, UnknownSandboxError
from ipam_core.node.unattached import KeptAside
from ipam_core.node.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam_core._store import Assignment, DataStore, Sandbox
    from ipam_core.checkpoint.checkpoint import Checkpoint


class DurableStore:
    """Assigns and releases out of a store, each change in the checkpoint first.

    For threads: calls for one sandbox wait for each other, so that none is told of
    what is not durable yet; all others share syncs. Whatever else a store does is done
    on `store` itself. `aside` is what `restore` kept aside: such an address is given
    back to its own sandbox when it is attached again, never to another.

    With a node: `DurableStore(node.store, checkpoint, aside=node.aside,
    waiting=node.waiting)`. Pods that are refused are then noted in `waiting`, so that the
    node grows for them.

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
        aside: KeptAside | None = None,
        waiting: Waiting | None = None,
    ) -> None:
        self.store = store
        self.checkpoint = checkpoint
        self.network_card = network_card
        self.aside = KeptAside() if aside is None else aside
        """What is kept aside still."""
        self.waiting = Waiting() if waiting is None else waiting
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
            try:
                assignment = self.store.find(sandbox) or self._assign(sandbox, pod, now_ns)
            except PoolExhaustedError:
                self.waiting.note_refused(sandbox, pod)
                raise
            self.waiting.note_served(sandbox, pod)
            return assignment

    def release(self, sandbox: Sandbox, now_ns: int | None = None) -> Assignment | None:
        """Release durably what a sandbox holds, and let it cool; return what it held.

        What is kept aside for it is forgotten; None: it held nothing else.

        Raises:
            UnknownSandboxError: it holds nothing.
            CheckpointWriteError: it could not be made durable; the sandbox holds its
                address as before.
        """
        with self._turn_of(sandbox):
            forgot = self._forget_aside(sandbox)
            held = self.store.find(sandbox)
            if held is None:
                if forgot:
                    return None
                raise UnknownSandboxError(sandbox)
            self.checkpoint.record_released(held, network_card=self.network_card)
            try:
                return self.store.release(sandbox, now_ns)
            except UnknownSandboxError:  # removed by force with its ENI meanwhile
                return held

    def save_layout(self, now_ns: int | None = None) -> None:
        """Keep the store's layout: to be called when ENIs or addresses came or went."""
        self.checkpoint.save_layout(self.store, self.network_card, now_ns)

    def _assign(self, sandbox: Sandbox, pod: str | None, now_ns: int | None) -> Assignment:
        """Assign an address that is not kept aside, and make that durable."""
        assignment = self.store.assign(sandbox, pod, now_ns)
        while assignment.address in self.aside:
            unassign(self.store, assignment)
            self.aside.give_back(self.store)
            if (own := self.store.find(sandbox)) is not None:  # it was kept aside for this one
                return own
            assignment = self.store.assign(sandbox, pod, now_ns)
        old = self.aside.held_by(sandbox)
        try:
            self.checkpoint.record_assigned(
                assignment, network_card=self.network_card, forgotten=old
            )
        except BaseException:
            unassign(self.store, assignment)
            raise
        self.aside.forget(old)
        return assignment

    def _forget_aside(self, sandbox: Sandbox) -> bool:
        """Forget, durably, what is kept aside for a sandbox; return whether anything was."""
        with self.aside.lock:  # nobody gets the address before it is struck
            addresses = self.aside.held_by(sandbox)
            self.checkpoint.settle(forgotten=addresses)
            self.aside.forget(addresses)
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
