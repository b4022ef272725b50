"""The bit primitives: every 16-bit pattern at every shift, every position, every width."""

from __future__ import annotations

import pytest

from ipam_core._bits import (
    PyBitSet,
    py_bit,
    py_first_set,
    py_last_set,
    py_nth_set,
    py_popcount,
    py_put,
)
from ipam_core._store import DataStore, Sandbox


def lowest(word):
    return next((n for n in range(64) if word >> n & 1), -1)


@pytest.mark.parametrize("shift", [0, 1, 15, 16, 31, 32, 33, 47, 48])
def test_every_16_bit_pattern(shift):
    for pattern in range(1 << 16):
        word = pattern << shift
        assert py_popcount(word) == pattern.bit_count()
        assert py_first_set(word) == (lowest(pattern) + shift if pattern else -1)
        assert py_last_set(word) == word.bit_length() - 1


def test_every_position():
    for position in range(64):
        assert py_bit(position) == 1 << position
        assert py_first_set(1 << position) == position
        assert py_first_set(2**64 - (1 << position)) == position


@pytest.mark.parametrize("position", [-1, 64, 65])
def test_a_shift_by_the_full_width_is_refused(position):
    with pytest.raises(ValueError, match="from 0 to 63"):
        py_bit(position)
    with pytest.raises(ValueError, match="from 0 to 63"):
        py_put(0, position, True)


@pytest.mark.parametrize("word", [0, 2**64 - 1, 0x5555555555555555])
def test_one_bit_is_put_and_no_other(word):
    for position in range(64):
        assert py_put(word, position, True) == word | 1 << position
        assert py_put(word, position, False) == word & ~(1 << position)


def test_the_nth_set_bit_of_every_8_bit_pattern():
    for shift in (0, 28, 56):
        for pattern in range(1 << 8):
            places = [n + shift for n in range(8) if pattern >> n & 1]
            for n in range(9):
                expected = places[n] if n < len(places) else -1
                assert py_nth_set(pattern << shift, n) == expected


@pytest.mark.parametrize("size", range(131))
def test_a_set_of_every_size(size):
    """Numbers leave from below, from above and every second one; the lowest is always known."""
    for order in (range(size), range(size - 1, -1, -1), [*range(0, size, 2), *range(1, size, 2)]):
        numbers, left = PyBitSet(), set(range(size))
        for number in left:
            numbers.put(number, True)
        for number in order:
            assert numbers.lowest() == min(left)
            numbers.put(number, False)
            left.discard(number)
        assert numbers.lowest() == -1
    numbers.put(4095, True)
    assert numbers.lowest() == 4095


@pytest.mark.parametrize("n_pods", range(131))
def test_an_ipv6_window_of_every_size(n_pods):
    """Windows grow word by word: sizes to 130 cross the first two borders."""
    store = DataStore("ipv6", cooldown_s=0)
    store.add_eni("eni-1", device_number=0)
    store.add_prefix("eni-1", "2001:db8::/80")
    pods = [Sandbox(f"c{n}") for n in range(n_pods)]
    given = [store.assign(pod, None, 1).address for pod in pods]
    assert given == ["2001:db8::" + (f"{n:x}" if n else "") for n in range(n_pods)]
    store._check()
    for pod in pods[::2]:
        store.release(pod, 2)
    again = [store.assign(Sandbox(f"d{n}"), None, 3).address for n in range(len(pods[::2]))]
    assert again == given[::2]
    store._check()


def test_every_pattern_of_a_prefix():
    """Of each set of held addresses the lowest free one is assigned, and all counts hold."""
    for pattern in range(1 << 16):
        store = DataStore("prefix")
        store.add_eni("eni-1", device_number=0)
        store.add_prefix("eni-1", "10.0.0.0/28")
        for offset in range(16):
            if pattern >> offset & 1:
                store.adopt(Sandbox(f"c{offset}"), f"10.0.0.{offset}", None, 1)
        stats = store.stats(1)
        assert (stats.assigned, stats.free_prefixes) == (pattern.bit_count(), pattern == 0)
        if pattern != 0xFFFF:
            expected = lowest(~pattern & 0xFFFF)
            assert store.assign(Sandbox("new"), None, 1).address == f"10.0.0.{expected}"
