"""A DataStore whose assignments are durable before they are reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ipam_core._lazy import RenamedAttribute, warn_renamed
from ipam_core.checkpoint import rows
from ipam_core.checkpoint.work import Work
from ipam_core.errors import PoolExhaustedError, UnknownSandboxError
from ipam_core.node.unattached import Holder, UnattachedAssignments, unassign
from ipam_core.node.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipam_core._store import Assignment, DataStore, Sandbox
    from ipam_core.checkpoint.checkpoint import Checkpoint
    from ipam_core.checkpoint.rows import Change

T = TypeVar("T")


class DurablePods:
    """The base of `DurableStore` and `DurableNode`: each change is in the checkpoint first.

    The thread that writes the checkpoint changes the stores too, one change after the other;
    changes of one sandbox go into different commits. It refuses all changes until the stores
    hold what the checkpoint holds.
    """

    def __init__(self, checkpoint: Checkpoint, unattached: UnattachedAssignments) -> None:
        self.checkpoint = checkpoint
        self.unattached = unattached
        """Unattached addresses that are still kept."""
        self._changing: set[Sandbox] = set()
        """Sandboxes with a change in the current or the next commit."""
        self._restored = False

    aside: RenamedAttribute = RenamedAttribute("unattached")

    def stores(self) -> Sequence[tuple[int, DataStore]]:
        """Return each network card with its store."""
        raise NotImplementedError

    def check_ready(self) -> None:
        """Raise `NotRestoredError` while the checkpoint holds what the stores do not."""
        if not self._restored:
            for card, store in self.stores():
                self.checkpoint.check_restored(store, card, self.unattached)
            self._restored = True

    def save_layout(self, now_ns: int | None = None) -> None:
        """Save the layout of the stores: to be called when ENIs or addresses came or went."""
        for card, store in self.stores():
            self.checkpoint.save_layout(store, card, now_ns)


class PodWork(Work["Change", T]):
    """A change of what one sandbox holds."""

    def __init__(self, pods: DurablePods, sandbox: Sandbox) -> None:
        self._pods = pods
        self._sandbox = sandbox
        self._unattached: dict[str, Holder] = {}
        """Unattached addresses that were kept for the sandbox, taken out."""

    def may_join(self) -> bool:
        """Return whether nothing of the sandbox is being written."""
        return self._sandbox not in self._pods._changing

    def begin(self) -> None:
        """Begin to prepare: no other change of the sandbox runs until the end."""
        self._pods._changing.add(self._sandbox)
        self._pods.check_ready()

    def end(self) -> None:
        """Let others change what the sandbox holds."""
        self._pods._changing.discard(self._sandbox)

    def undo(self) -> None:
        """Let the sandbox hold what it held before."""
        self.put_back_unattached()
        self.end()

    def put_back_unattached(self) -> None:
        """Keep for the sandbox the unattached addresses that were kept before."""
        for address, kept in self._unattached.items():
            self._pods.unattached.keep(address, kept)
        self._unattached = {}

    def take_unattached(self) -> list[Change]:
        """Take the unattached addresses of the sandbox; return the changes that forget them."""
        self._unattached |= self._pods.unattached.take(self._sandbox)
        return [rows.forget(address) for address in self._unattached]


class DurableStore(DurablePods):
    """Assigns and releases out of a store, each change in the checkpoint first.

    For threads: changes of one sandbox follow each other, so that none reports what is not
    durable yet; all others share syncs. All other operations are called on `store` itself.
    `unattached` are the addresses that `restore` kept: such an address is given back to its
    own sandbox when it is attached again, never to another. `aside` is its old name.

    A node is wired by `DurableNode(node, checkpoint)`. By hand it is
    `DurableStore(node.store, checkpoint, unattached=node.unattached, waiting=node.waiting)`: pods
    that are refused are then noted in `waiting`, so that the node grows for them.

    An assignment is made in the store, written, and taken back when it cannot be
    written. A release is written first and made in the store after, so that no other
    sandbox gets the address before the release is durable. An interrupt is raised after
    that, when store and checkpoint agree.
    """

    def __init__(
        self,
        store: DataStore,
        checkpoint: Checkpoint,
        *,
        network_card: int = 0,
        unattached: UnattachedAssignments | None = None,
        waiting: Waiting | None = None,
        aside: UnattachedAssignments | None = None,
    ) -> None:
        if aside is not None:
            warn_renamed("the argument `aside`", "`unattached`")
            unattached = aside
        super().__init__(checkpoint, UnattachedAssignments() if unattached is None else unattached)
        self.store = store
        self.network_card = network_card
        self.waiting: Waiting = Waiting() if waiting is None else waiting

    def stores(self) -> Sequence[tuple[int, DataStore]]:
        """Return the network card with its store."""
        return ((self.network_card, self.store),)

    def assign(
        self, sandbox: Sandbox, pod: str | None = None, now_ns: int | None = None
    ) -> Assignment:
        """Assign an address durably; a sandbox that has one keeps it.

        Raises:
            PoolExhaustedError: no address can be given now.
            NotRestoredError: the checkpoint holds what the store does not.
            CheckpointWriteError: it could not be made durable; the address is free again
                and does not cool.
            ForkedError: the checkpoint was opened by the process that this one is a fork of.
        """
        return self.checkpoint.run(_Assign(self, sandbox, pod, now_ns))

    def release(self, sandbox: Sandbox, now_ns: int | None = None) -> Assignment | None:
        """Release durably what a sandbox holds, and let it cool; return what it held.

        Unattached addresses that are kept for it are forgotten; None: it held nothing else.

        Raises:
            UnknownSandboxError: it holds nothing.
            NotRestoredError, ForkedError: as `assign`.
            CheckpointWriteError: it could not be made durable; the sandbox holds its
                address as before.
        """
        return self.checkpoint.run(_Release(self, sandbox, now_ns))

    def assign_many(
        self,
        sandboxes: Sequence[Sandbox],
        pods: Sequence[str | None] | None = None,
        now_ns: int | None = None,
    ) -> list[Assignment]:
        """Assign an address to each sandbox durably, in one commit with one sync: all or none.

        Sandboxes that have an address keep it. Raises what `assign` raises, and then nothing
        has changed; `ValueError` if there are not as many pods as sandboxes. Cost: one sync, and
        some microseconds a sandbox.
        """
        names = [None] * len(sandboxes) if pods is None else list(pods)
        if len(names) != len(sandboxes):
            raise ValueError(f"{len(sandboxes)} sandboxes and {len(names)} pods")
        pairs = zip(sandboxes, names, strict=True)
        parts = [_Assign(self, sandbox, pod, now_ns) for sandbox, pod in pairs]
        return self.checkpoint.run(_Together(parts))

    def release_many(
        self, sandboxes: Sequence[Sandbox], now_ns: int | None = None
    ) -> list[Assignment | None]:
        """Release durably what each sandbox holds, in one commit with one sync: all or none.

        Raises what `release` raises, and then nothing has changed. A sandbox may be named once.
        """
        parts = [_Release(self, sandbox, now_ns) for sandbox in dict.fromkeys(sandboxes)]
        if len(parts) != len(sandboxes):
            raise ValueError("a sandbox is named twice")
        return self.checkpoint.run(_Together(parts))

    async def aassign(
        self, sandbox: Sandbox, pod: str | None = None, now_ns: int | None = None
    ) -> Assignment:
        """Do as `assign`, without blocking the event loop; calls that overlap share syncs.

        A task that is cancelled meanwhile is cancelled once the change is durable or undone.
        """
        return await self.checkpoint.arun(_Assign(self, sandbox, pod, now_ns))

    async def arelease(self, sandbox: Sandbox, now_ns: int | None = None) -> Assignment | None:
        """Do as `release`, without blocking the event loop; cancelled as `aassign` is."""
        return await self.checkpoint.arun(_Release(self, sandbox, now_ns))


class _Together(Work["Change", "list[T]"]):
    """Several changes as one: all are written in one commit, or none is."""

    def __init__(self, parts: Sequence[PodWork[T]]) -> None:
        self._parts = parts
        self._begun: list[PodWork[T]] = []

    def may_join(self) -> bool:
        return all(part.may_join() for part in self._parts)

    def prepare(self) -> Sequence[Change]:
        changes: list[Change] = []
        self._begun = []
        for part in self._parts:
            self._begun.append(part)
            changes += part.prepare()
        return changes

    def complete(self) -> list[T]:
        return [part.complete() for part in self._parts]  # type: ignore[misc]

    def undo(self) -> None:
        for part in self._begun:
            part.undo()


class _Assign(PodWork["Assignment"]):
    def __init__(
        self, durable: DurableStore, sandbox: Sandbox, pod: str | None, now_ns: int | None
    ) -> None:
        super().__init__(durable, sandbox)
        self._durable = durable
        self._pod = pod
        self._now_ns = now_ns
        self._is_new: bool | None = None  # not looked up yet
        self._assignment: Assignment | None = None

    def prepare(self) -> Sequence[Change]:
        self.begin()
        durable, store = self._durable, self._durable.store
        held = store.find(self._sandbox)
        if self._is_new is None:
            self._is_new = held is None
        if held is None:
            try:
                held = self._assign(store)
            except PoolExhaustedError:
                durable.waiting.note_refused(self._sandbox, self._pod)
                raise
        self._assignment = held
        if not self._is_new:
            return ()
        assigned = durable.checkpoint.assigning(held, network_card=durable.network_card)
        return [assigned, *self.take_unattached()]

    def _assign(self, store: DataStore) -> Assignment:
        """Assign an address that is not kept for another sandbox."""
        unattached = self._durable.unattached
        while True:
            assignment = store.assign(self._sandbox, self._pod, self._now_ns)
            if assignment.address not in unattached:
                return assignment
            unassign(store, assignment)
            unattached.give_back(store)
            if (own := store.find(self._sandbox)) is not None:  # it was kept for this sandbox
                self._is_new = False
                return own

    def complete(self) -> Assignment:
        assert self._assignment is not None
        self._durable.waiting.note_served(self._sandbox, self._pod)
        self.end()
        return self._assignment

    def undo(self) -> None:
        if self._is_new and (held := self._durable.store.find(self._sandbox)) is not None:
            unassign(self._durable.store, held)
        super().undo()


class _Release(PodWork["Assignment | None"]):
    def __init__(self, durable: DurableStore, sandbox: Sandbox, now_ns: int | None) -> None:
        super().__init__(durable, sandbox)
        self._durable = durable
        self._now_ns = now_ns
        self._held: Assignment | None = None

    def prepare(self) -> Sequence[Change]:
        self.begin()
        durable = self._durable
        if self._now_ns is not None:
            durable.store.next_cool_ns(self._now_ns)  # refuses a bad time before anything is done
        changes = self.take_unattached()
        self._held = durable.store.find(self._sandbox)
        if self._held is not None:
            changes.append(
                durable.checkpoint.releasing(self._held, network_card=durable.network_card)
            )
        elif not changes:
            raise UnknownSandboxError(self._sandbox)
        return changes

    def complete(self) -> Assignment | None:
        try:
            if self._held is None:
                return None
            return self._durable.store.release(self._sandbox, self._now_ns)
        except UnknownSandboxError:  # removed by force with its ENI meanwhile
            return self._held
        finally:
            self.end()
