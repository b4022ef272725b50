"""The bit primitives: every 16-bit pattern at every shift, every position, every width."""

from __future__ import annotations

import pytest

from ipam_core._bits import py_bit, py_first_set, py_popcount
from ipam_core._store import DataStore, Sandbox


def lowest(word):
    return next((n for n in range(64) if word >> n & 1), -1)


@pytest.mark.parametrize("shift", [0, 1, 15, 16, 31, 32, 33, 47, 48])
def test_every_16_bit_pattern(shift):
    for pattern in range(1 << 16):
        word = pattern << shift
        assert py_popcount(word) == pattern.bit_count()
        assert py_first_set(word) == (lowest(pattern) + shift if pattern else -1)


def test_every_position():
    for position in range(64):
        assert py_bit(position) == 1 << position
        assert py_first_set(1 << position) == position
        assert py_first_set(2**64 - (1 << position)) == position


@pytest.mark.parametrize("position", [-1, 64, 65])
def test_a_shift_by_the_full_width_is_refused(position):
    with pytest.raises(ValueError, match="from 0 to 63"):
        py_bit(position)


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
