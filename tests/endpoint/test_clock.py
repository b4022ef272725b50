"""The clock of a served VPC: real, scaled, held, and moved."""

import asyncio

import pytest

from ipam_core.cloud.region import EPOCH
from ipam_core.endpoint.clock import LATEST_NS, VpcClock
from ipam_core.errors import InputError
from ipam_core.units import NS


class Hands:
    """A monotonic clock that a test sets."""

    def __init__(self):
        self.ns = 5 * NS

    def __call__(self):
        return self.ns


def test_a_scaled_clock_passes_so_many_seconds_in_one():
    hands = Hands()
    clock = VpcClock(speed=60, start_ns=0, monotonic_ns=hands)
    hands.ns += 2 * NS
    assert clock.now_ns() == 120 * NS


def test_a_held_clock_stands_at_the_epoch_until_it_is_moved():
    hands = Hands()
    clock = VpcClock(held=True, monotonic_ns=hands)
    hands.ns += 1000 * NS
    assert clock.now() == EPOCH
    clock.move(90 * NS)
    assert clock.now_ns() == 90 * NS


def test_a_clock_that_is_not_held_begins_at_the_time_of_day():
    from datetime import UTC, datetime, timedelta

    assert abs(VpcClock().now() - datetime.now(UTC)) < timedelta(seconds=5)
    assert abs(VpcClock(speed=60).now() - datetime.now(UTC)) < timedelta(seconds=60)


def test_holding_running_and_moving_never_let_it_jump_otherwise():
    hands = Hands()
    clock = VpcClock(start_ns=0, monotonic_ns=hands)
    hands.ns += 10 * NS
    clock.hold()
    hands.ns += 10 * NS
    assert clock.now_ns() == 10 * NS
    clock.run(2)
    hands.ns += 10 * NS
    assert clock.now_ns() == 30 * NS
    clock.move(5 * NS)
    hands.ns += 1 * NS
    assert clock.now_ns() == 37 * NS


@pytest.mark.parametrize("speed", [0, -1, 1e7, float("nan"), float("inf")])
def test_a_wrong_speed_is_refused_and_changes_nothing(speed):
    with pytest.raises(InputError, match="a speed is above 0"):
        VpcClock(speed=speed)
    clock = VpcClock(held=True)
    with pytest.raises(InputError):
        clock.run(speed)
    assert clock.held


def test_a_clock_goes_neither_back_nor_beyond_its_end():
    clock = VpcClock(held=True)
    with pytest.raises(InputError, match="forward only"):
        clock.move(-1)
    with pytest.raises(InputError, match="200 years"):
        clock.move(LATEST_NS + 1)
    assert clock.now_ns() == 0


async def waits(clock, seconds):
    """Return a task that sleeps, once it does."""
    task = asyncio.create_task(clock.sleep_ns(round(seconds * NS)))
    await asyncio.sleep(0)
    return task


def test_sleepers_wake_in_time_when_the_clock_is_moved():
    async def run():
        clock = VpcClock()
        near, far = await waits(clock, 60), await waits(clock, 3600)
        clock.move(100 * NS)
        await asyncio.wait_for(near, 1)
        assert not far.done()
        clock.move(3600 * NS)
        await asyncio.wait_for(far, 1)

    asyncio.run(run())


def test_a_scaled_clock_lets_sleepers_wake_sooner():
    async def run():
        clock = VpcClock(speed=10_000)
        await asyncio.wait_for(clock.sleep_ns(100 * NS), 2)
        other = VpcClock()
        slow = await waits(other, 100)
        other.run(10_000)
        await asyncio.wait_for(slow, 2)

    asyncio.run(run())


def test_nothing_sleeps_while_the_clock_is_held():
    async def run():
        clock = VpcClock()
        task = await waits(clock, 3600)
        clock.hold()
        await asyncio.wait_for(task, 1)
        await asyncio.wait_for(clock.sleep_ns(3600 * NS), 1)

    asyncio.run(run())


def test_sleep_is_not_shorter_than_asked():
    async def run():
        clock = VpcClock()
        before = clock.now_ns()
        await clock.sleep_ns(NS // 50)
        assert clock.now_ns() - before >= NS // 50

    asyncio.run(run())
