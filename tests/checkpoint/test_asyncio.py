"""Durable calls and steps under asyncio: the loop goes on, calls that overlap share syncs."""

import asyncio
import threading
import time

import pytest

from ipam_core import (
    Checkpoint,
    DurableNode,
    DurableStore,
    Node,
    Sandbox,
    Settings,
    SimulatedCloud,
    adrive,
    drive,
)
from ipam_core.checkpoint.group_commit import GroupCommit
from ipam_core.checkpoint.work import Work
from ipam_core.effects import ReadUnschedulable, Sleep
from ipam_core.errors import (
    CheckpointWriteError,
    NotReadyError,
    PoolExhaustedError,
    UnknownSandboxError,
    UnreachableError,
)
from ipam_core.node import StartError
from support.checkpointing import open_checkpoint, sandbox, small_store


class Gate:
    """A write that waits for the test."""

    def __init__(self):
        self.groups, self.errors = [], []
        self.open = threading.Event()

    def write(self, changes):
        self.groups.append(list(changes))
        self.open.wait(30)
        if self.errors:
            raise self.errors.pop()


class Change(Work):
    def __init__(self, name, done):
        self.name, self.done = name, done

    def prepare(self):
        return [self.name]

    def complete(self):
        self.done.append(self.name)
        return self.name


async def until(holds):
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, "waited for 30 s"
        await asyncio.sleep(0.001)


def test_the_loop_goes_on_and_those_who_come_during_a_write_share_the_next():
    gate, done = Gate(), []
    commits = GroupCommit(gate.write)

    async def main():
        tasks = [asyncio.create_task(commits.arun(Change("first", done)))]
        await until(lambda: gate.groups)
        tasks += [asyncio.create_task(commits.arun(Change(n, done))) for n in range(50)]
        await until(lambda: len(commits._waiting) == 50)
        assert done == []
        gate.open.set()
        assert await asyncio.gather(*tasks) == ["first", *range(50)]

    asyncio.run(main())
    assert [len(group) for group in gate.groups] == [1, 50]


def test_a_cancelled_task_ends_when_its_change_is_done():
    gate, done = Gate(), []
    commits = GroupCommit(gate.write)

    async def main():
        task = asyncio.create_task(commits.arun(Change("kept", done)))
        await until(lambda: gate.groups)
        task.cancel()
        await asyncio.sleep(0.02)
        assert not task.done()
        gate.open.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert done == ["kept"]

    asyncio.run(main())


def test_each_waits_for_its_own_error():
    gate, done = Gate(), []
    gate.errors.append(CheckpointWriteError("here", "no space"))
    gate.open.set()
    commits = GroupCommit(gate.write)

    async def main():
        with pytest.raises(CheckpointWriteError, match="no space"):
            await commits.arun(Change("lost", done))
        assert await commits.arun(Change("kept", done)) == "kept"

    asyncio.run(main())
    assert done == ["kept"]


def test_a_writer_that_ended_is_replaced():
    commits = GroupCommit(lambda changes: None)
    commits._queue.put(None)  # ends it
    while commits._writers[0].is_alive():
        time.sleep(0.001)
    assert asyncio.run(commits.arun(Change("kept", []))) == "kept"


def test_a_loop_that_was_closed_disturbs_nobody():
    gate, done = Gate(), []
    commits = GroupCommit(gate.write)
    loop = asyncio.new_event_loop()
    work = loop.create_task(commits.arun(Change("alone", done)))
    while not gate.groups:
        loop.run_until_complete(asyncio.sleep(0.001))
    work._log_destroy_pending = False
    loop.stop()
    loop.run_forever()
    loop.close()
    gate.open.set()
    commits.run(Change("next", done))
    assert done == ["alone", "next"]
    work.get_coro().close()


def test_a_store_is_durable_under_asyncio(tmp_path):
    with open_checkpoint(tmp_path / "pods.db") as checkpoint:
        durable = DurableStore(small_store(), checkpoint)

        async def main():
            given = await asyncio.gather(*[durable.aassign(sandbox(n)) for n in range(20)])
            assert len({one.address for one in given}) == 20
            assert {entry.address for entry in checkpoint.entries()} == {
                one.address for one in given
            }
            released = await asyncio.gather(*[durable.arelease(sandbox(n)) for n in range(5)])
            assert released == given[:5]
            with pytest.raises(UnknownSandboxError):
                await durable.arelease(sandbox(99))
            with pytest.raises(PoolExhaustedError):
                await asyncio.gather(*[durable.aassign(sandbox(n)) for n in range(50, 99)])

        asyncio.run(main())


def test_a_node_is_durable_under_asyncio(tmp_path):
    cloud = SimulatedCloud("m5.large", seed=1)
    with Checkpoint(tmp_path / "pods.db") as checkpoint:
        node = Node(cloud.limits, Settings(warm_ip_target=2))
        pods = DurableNode(node, checkpoint)

        async def main():
            with pytest.raises(NotReadyError):
                await pods.aadd_pod(Sandbox("c0"))
            await adrive(node.start(), cloud, checkpoint)
            given = await pods.aadd_pod(Sandbox("c0"), "ns/a")
            await adrive(node.adjust(), cloud, checkpoint)
            assert await pods.aremove_pod(Sandbox("c0")) == [given]
            with pytest.raises(UnknownSandboxError):
                await pods.aremove_pod(Sandbox("c0"))

        asyncio.run(main())


# --- steps -----------------------------------------------------------------------------------


class Asynchronous:
    """A simulated cloud as one of asyncio; `fails` effects have no answer."""

    def __init__(self, cloud, fails=0):
        self.cloud, self.seen, self.fails = cloud, [], fails

    async def aperform(self, effect):
        await asyncio.sleep(0)
        self.seen.append(effect)
        if self.fails:
            self.fails -= 1
            raise UnreachableError("EC2", "Timeout")
        return self.cloud.perform(effect)


class Watched:
    """A cloud that notes its effects, and in which thread each is performed."""

    def __init__(self, cloud):
        self.cloud, self.seen, self.threads = cloud, [], set()

    def perform(self, effect):
        self.seen.append(effect)
        self.threads.add(threading.get_ident())
        return self.cloud.perform(effect)


def grown(drive_all, kind, **more):
    cloud = kind(SimulatedCloud("m5.large", seed=1), **more)
    node = Node(cloud.cloud.limits, Settings(warm_ip_target=12), clock_ns=lambda: 0)
    drive_all(node.start(), cloud)
    for _ in range(3):
        drive_all(node.adjust(), cloud)
    return cloud.seen, node.store


def test_the_same_effects_give_the_same_node():
    def wait_for(step, cloud):
        async def no_sleep(seconds):
            return None

        return asyncio.run(adrive(step, cloud, sleep=no_sleep))

    effects, store = grown(lambda *given: drive(*given, sleep=lambda s: None), Watched)
    for kind in (Watched, Asynchronous):
        assert grown(wait_for, kind) == (effects, store)
    with pytest.raises(StartError, match="ipamd init: EC2: Timeout"):  # thrown into the step
        grown(wait_for, Asynchronous, fails=1)


def test_a_blocking_cloud_is_called_in_a_thread_and_the_loop_goes_on():
    class Slow:
        def perform(self, effect):
            time.sleep(0.05)
            return False

    def step():
        for _ in range(3):
            yield ReadUnschedulable()
        yield Sleep(0.05)
        return "done"

    async def main():
        turns = 0
        task = asyncio.create_task(adrive(step(), Slow()))
        while not task.done():
            turns += 1
            await asyncio.sleep(0.001)
        assert turns > 20
        return await task

    assert asyncio.run(main()) == "done"


def test_a_cancelled_step_is_closed():
    closed = []

    def step():
        try:
            yield Sleep(1000)
        finally:
            closed.append(True)

    async def main():
        task = asyncio.create_task(adrive(step(), SimulatedCloud("m5.large")))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert closed == [True]


def test_an_error_of_no_cloud_closes_the_step_and_is_raised():
    class Broken:
        def perform(self, effect):
            raise ZeroDivisionError

    step = Node(SimulatedCloud("m5.large").limits, Settings()).start()
    with pytest.raises(ZeroDivisionError):
        asyncio.run(adrive(step, Broken()))
    assert step.gi_frame is None
