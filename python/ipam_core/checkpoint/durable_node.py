"""A node whose pods' addresses are durable before they are reported."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ipam_core.checkpoint.durable import DurablePods, PodWork
from ipam_core.errors import IpamError, NotReadyError, PoolExhaustedError, UnknownSandboxError
from ipam_core.node.unattached import unassign

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipam_core._store import Assignment, DataStore, Sandbox
    from ipam_core.checkpoint.checkpoint import Checkpoint
    from ipam_core.checkpoint.rows import Change
    from ipam_core.node import Node


class DurableNode(DurablePods):
    """Answers pods for a node, on all its network cards, each change in the checkpoint first.

    Connects the node's stores, its checkpoint, the pods that wait, and the unattached
    addresses. It answers only when the node has started and holds what the checkpoint holds;
    before that it raises. The node's steps are driven as usual, also in another thread, by a
    cloud that lets the node read this checkpoint (`drive(step, cloud, checkpoint)`). Add and
    remove pods here, not on the node.
    """

    def __init__(self, node: Node, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint, node.unattached)
        self.node = node

    def stores(self) -> Sequence[tuple[int, DataStore]]:
        """Return each network card with its store."""
        return tuple(enumerate(self.node.stores))

    def check_ready(self) -> None:
        """Raise `NotReadyError` before the node has started; then as the base class."""
        if not self.node.ready:
            raise NotReadyError
        super().check_ready()

    def add_pod(self, sandbox: Sandbox, pod: str | None = None) -> Assignment:
        """Assign durably an address of the first network card that has one.

        A sandbox that has an address keeps it. The rules are those of `Node.add_pod`.

        Raises:
            NotReadyError: the node has not started.
            NotRestoredError: it started without what this checkpoint holds.
            PoolExhaustedError: no address can be given now; the pod waits.
            CheckpointWriteError: it could not be made durable; the address is free again
                and does not cool.
            ForkedError: the checkpoint was opened by the process that this one is a fork of.
        """
        return self.checkpoint.run(_Add(self, sandbox, pod, all_cards=False))[0]

    def add_pod_to_all_cards(self, sandbox: Sandbox, pod: str | None = None) -> list[Assignment]:
        """Assign durably one address of every network card, or none at all.

        All are written in one commit, each with the number of interfaces. The rules are
        those of `Node.add_pod_to_all_cards`, the errors those of `add_pod`.
        """
        return self.checkpoint.run(_Add(self, sandbox, pod, all_cards=True))

    def remove_pod(self, sandbox: Sandbox) -> list[Assignment]:
        """Release durably, in one commit, what a sandbox holds on every network card.

        Unattached addresses that are kept for it are forgotten, and are not in the list.

        Raises:
            UnknownSandboxError: it holds nothing.
            CheckpointWriteError: it could not be made durable; the sandbox holds its
                addresses as before.
            NotReadyError, NotRestoredError, ForkedError: as `add_pod`.
        """
        return self.checkpoint.run(_Remove(self, sandbox))

    async def aadd_pod(self, sandbox: Sandbox, pod: str | None = None) -> Assignment:
        """Do as `add_pod`, without blocking the event loop; calls that overlap share syncs.

        A task that is cancelled meanwhile is cancelled once the change is durable or undone.
        """
        return (await self.checkpoint.arun(_Add(self, sandbox, pod, all_cards=False)))[0]

    async def aremove_pod(self, sandbox: Sandbox) -> list[Assignment]:
        """Do as `remove_pod`, without blocking the event loop; cancelled as `aadd_pod` is."""
        return await self.checkpoint.arun(_Remove(self, sandbox))


class _Add(PodWork["list[Assignment]"]):
    """Asks the node, and writes the changes of the sandbox's addresses."""

    def __init__(
        self, durable: DurableNode, sandbox: Sandbox, pod: str | None, *, all_cards: bool
    ) -> None:
        super().__init__(durable, sandbox)
        self._durable = durable
        self._pod = pod
        self._all_cards = all_cards
        self._before: list[Assignment | None] | None = None  # by network card
        self._taken: list[Assignment] = []
        self._refused: PoolExhaustedError | None = None

    def prepare(self) -> Sequence[Change]:
        self.begin()
        if self._before is None:
            self._give_back()
            self._before = self._held()
        changes = self.take_unattached()
        try:
            self._taken = self._ask()
        except PoolExhaustedError as refused:
            if self._held() == self._before:
                raise
            self._refused = refused  # this may take addresses of a running pod
            self.put_back_unattached()
            changes = []
        n_interfaces = len(self._taken) if self._all_cards else 0
        checkpoint = self._durable.checkpoint
        for card, (before, now) in enumerate(zip(self._before, self._held(), strict=True)):
            if now is not None and now != before:
                changes.append(
                    checkpoint.assigning(now, network_card=card, interfaces_count=n_interfaces)
                )
            elif before is not None and now is None:
                changes.append(checkpoint.releasing(before, network_card=card))
        return changes

    def _ask(self) -> list[Assignment]:
        """Take addresses that are not kept for others."""
        node, unattached = self._durable.node, self._durable.unattached
        while True:
            if self._all_cards:
                taken = node.add_pod_to_all_cards(self._sandbox, self._pod)
            else:
                taken = [node.add_pod(self._sandbox, self._pod)]
            if not any(assignment.address in unattached for assignment in taken):
                return taken
            self._take_back()
            self._give_back()

    def _held(self) -> list[Assignment | None]:
        return [store.find(self._sandbox) for _, store in self._durable.stores()]

    def _give_back(self) -> None:
        """Give back kept addresses that are attached now, to this sandbox and to others."""
        for _, store in self._durable.stores() if self._durable.unattached else ():
            self._durable.unattached.give_back(store)

    def _take_back(self) -> None:
        """Let the sandbox hold again what it held before, and nothing else."""
        if self._before is None:
            return
        for (_, store), before in zip(self._durable.stores(), self._before, strict=True):
            now = store.find(self._sandbox)
            if now is not None and now != before:
                unassign(store, now)
            if before is not None and now is None:
                with suppress(IpamError):  # removed with its ENI meanwhile
                    store.adopt(self._sandbox, before.address, before.pod, before.assigned_ns)

    def complete(self) -> list[Assignment]:
        self.end()
        if self._refused is not None:
            raise self._refused
        return self._taken

    def undo(self) -> None:
        self._take_back()
        super().undo()


class _Remove(PodWork["list[Assignment]"]):
    def __init__(self, durable: DurableNode, sandbox: Sandbox) -> None:
        super().__init__(durable, sandbox)
        self._durable = durable
        self._held: list[Assignment] = []

    def prepare(self) -> Sequence[Change]:
        self.begin()
        changes = self.take_unattached()
        self._held = []
        for card, store in self._durable.stores():
            if (held := store.find(self._sandbox)) is not None:
                self._held.append(held)
                changes.append(self._durable.checkpoint.releasing(held, network_card=card))
        if not changes:
            raise UnknownSandboxError(self._sandbox)
        return changes

    def complete(self) -> list[Assignment]:
        try:
            return self._durable.node.remove_pod(self._sandbox) if self._held else []
        except UnknownSandboxError:  # removed by force with its ENI meanwhile
            return self._held
        finally:
            self.end()
