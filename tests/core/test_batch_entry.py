"""What a batch takes and gives: NumPy's arrays, and any other buffer without NumPy."""

import array
import ctypes
import mmap
import subprocess
import sys

import numpy as np
import pytest

from ipam_core import DataStore, Sandbox
from ipam_core.errors import PoolExhaustedError, UnknownSandboxError

N = 10
NOBODY = 2**64 - 1


def store_of(mode="prefix"):
    store = DataStore(mode, cooldown_s=0, given_time=True)
    store.add_eni("eni-0", device_number=0, created_ns=1)
    if mode == "ipv6":
        store.add_prefix("eni-0", "2001:db8::/80")
    else:
        store.add_prefix("eni-0", "10.0.0.16/28")
    return store


def digests(n=N):
    return b"".join([Sandbox(f"pod-{number}").digest for number in range(n)])


def words(packed):
    return memoryview(packed).cast("Q")


def spread_out(packed, step):
    """Return a view of rows that are not next to each other, or backwards."""
    rows = np.frombuffer(packed, np.uint64).reshape(-1, 2)
    space = np.zeros((abs(step) * len(rows), 2), np.uint64)
    space[::step] = rows
    return space[::step]


def mapped(packed):
    memory = mmap.mmap(-1, len(packed))
    memory.write(packed)
    return memory


FORMS = {
    "bytes": bytes,
    "bytearray": bytearray,
    "array of bytes": lambda packed: array.array("B", packed),
    "array of words": lambda packed: array.array("Q", packed),
    "array of longs": lambda packed: array.array("L", packed),
    "view of bytes": memoryview,
    "view of words": words,
    "view of rows": lambda packed: memoryview(packed).cast("Q", (len(packed) // 16, 2)),
    "view of rows of NumPy": lambda packed: memoryview(spread_out(packed, 1)),
    "view of rows far apart": lambda packed: memoryview(spread_out(packed, 3)),
    "view of rows backwards": lambda packed: memoryview(spread_out(packed, -1)),
    "words far apart": lambda packed: memoryview(array.array("Q", packed * 2))[: len(packed) // 8],
    "ctypes": lambda packed: (ctypes.c_uint64 * (len(packed) // 8)).from_buffer_copy(packed),
    "ctypes, rows": lambda p: ((ctypes.c_uint64 * 2) * (len(p) // 16)).from_buffer_copy(p),
    "mapped memory": mapped,
}
if array.array("L").itemsize != 8:
    del FORMS["array of longs"]


@pytest.mark.parametrize("mode", ["prefix", "ipv6"])
@pytest.mark.parametrize("form", FORMS)
def test_any_buffer_gives_what_an_array_gives(form, mode):
    rows = np.frombuffer(digests(), np.uint64).reshape(-1, 2)
    by_numpy, store = store_of(mode), store_of(mode)
    wanted = by_numpy.assign_many(rows, 1)
    assert type(wanted) is np.ndarray
    assert (wanted.shape, wanted.dtype) == ((N, 2), np.uint64)
    batch = FORMS[form](digests())
    given = store.assign_many(batch, 1)
    assert type(given) is array.array
    assert given.typecode == "Q"
    assert given.tolist() == wanted.ravel().tolist()
    assert len(set(given[1::2])) == N
    assert np.array_equal(np.frombuffer(given, np.uint64).reshape(-1, 2), wanted)
    assert bytes(batch) == digests()  # what the caller gave stays as it was
    assert store.snapshot() == by_numpy.snapshot()
    assert store.release_many(batch, 2) == given
    by_numpy.release_many(rows, 2)
    assert store.snapshot() == by_numpy.snapshot()
    store._check()


def test_arrays_of_any_layout_and_subclass_are_rows():
    class Table(np.ndarray):
        pass

    rows = np.frombuffer(digests(), np.uint64).reshape(-1, 2)
    wanted = store_of().assign_many(rows, 1)
    for batch in (
        np.asfortranarray(rows), spread_out(digests(), 2), spread_out(digests(), -2),
        rows.view(Table), np.ma.masked_array(rows), rows.astype(np.ulonglong), list(rows),
    ):  # fmt: skip
        store = store_of()
        given = store.assign_many(batch, 1)
        assert type(given) is np.ndarray
        assert np.array_equal(given, wanted)
        assert given.flags.c_contiguous
        assert np.array_equal(store.release_many(batch, 2), wanted)


def test_no_rows_are_an_empty_batch():
    store = store_of()
    before = store.snapshot()
    for call in (store.assign_many, store.release_many):
        for empty in (b"", array.array("Q"), memoryview(b"").cast("Q")):
            assert call(empty, 1) == array.array("Q")
        assert call(np.empty((0, 2), np.uint64), 1).shape == (0, 2)
    assert store.snapshot() == before


@pytest.mark.parametrize(
    ("batch", "error", "said"),
    [
        (b"0" * 15, ValueError, "16 bytes each, not 15 bytes"),
        (array.array("Q", [1, 2, 3]), ValueError, "16 bytes each, not 24 bytes"),
        (array.array("q", [1, 2]), TypeError, "not of format 'q'"),
        (array.array("d", [1, 2]), TypeError, "not of format 'd'"),
        (array.array("I", [1, 2, 3, 4]), TypeError, "not of format 'I'"),
        (memoryview(np.ones((2, 2), ">u8")), TypeError, "not of format '>Q'"),
        (memoryview(np.ones((2, 2), "i8")), TypeError, "not of format '[lq]'"),
        (memoryview(np.ones((2, 3), "u8")), ValueError, r"shape \(n, 2\), not \(2, 3\)"),
        (memoryview(np.ones((2, 2, 2), "u8")), ValueError, r"not \(2, 2, 2\)"),
        (memoryview(np.ones((2, 16), "u1")), ValueError, r"not \(2, 16\)"),
        (memoryview(np.ones((), "u8")), ValueError, r"shape \(n, 2\), not \(\)"),
        (np.ones((2, 2), ">u8"), TypeError, "digests are uint64, not >u8"),
        (np.ones((2, 2), "M8[s]"), TypeError, "digests are uint64, not datetime64"),
        ([[1, 2]], TypeError, "^digests are uint64, not int64$"),
        ("0" * 16, TypeError, "digests are uint64, not <U16"),
        (7, TypeError, "^digests are uint64, not int64$"),
    ],
)
def test_what_is_not_rows_is_refused_and_changes_nothing(batch, error, said):
    store = store_of()
    before = store.snapshot()
    for call in (store.assign_many, store.release_many):
        with pytest.raises(error, match=said):
            call(batch, 1)
    assert store.snapshot() == before


def test_a_buffer_is_let_go_whatever_happens():
    """A bytearray that somebody holds cannot grow."""
    store = store_of()
    for size, error in (
        (16, UnknownSandboxError),
        (17, ValueError),
        (16 * 17, UnknownSandboxError),
    ):
        batch = bytearray(size)
        with pytest.raises(error):
            store.release_many(batch, 1)
        batch.append(0)
    batch = bytearray(digests(17))
    with pytest.raises(PoolExhaustedError):
        store.assign_many(batch, 1)
    batch.append(0)
    assert store.assign_many(batch[:-1], 1, partial=True)[-2:].tolist() == [NOBODY, NOBODY]


def test_the_first_row_that_holds_nothing_is_named():
    store, pods = store_of(), [Sandbox(f"pod-{number}") for number in range(4)]
    store.assign_many(b"".join(pod.digest for pod in pods[:2]), 1)
    before = store.snapshot()
    for order, first in (((0, 1, 2, 3), 2), ((0, 3, 1), 3), ((1, 0, 1), 1)):
        with pytest.raises(UnknownSandboxError) as refused:
            store.release_many(b"".join(pods[number].digest for number in order), 2)
        assert refused.value.sandbox == pods[first]
        assert store.snapshot() == before
        store._check()


WITHOUT_NUMPY = """
import sys
sys.modules["numpy"] = None
from ipam_core import DataStore, Sandbox
from ipam_core.batches import assign_named, digest_bytes, digests_of, texts_of
from ipam_core.errors import MissingExtraError
store = DataStore(cooldown_s=0)
store.add_eni("eni-0", device_number=0)
for number in range(4):
    store.add_address("eni-0", f"10.0.0.{number}")
batch = digest_bytes(["a", Sandbox("b")])
print(texts_of(store.assign_many(batch)), texts_of(store.release_many(batch)))
print([one.pod for one in assign_named(store, [Sandbox("c"), Sandbox("d")], ["ns/c", "ns/d"])])
for call in (lambda: store.assign_many([]), lambda: digests_of(["a"])):
    try:
        call()
    except MissingExtraError as error:
        print(error.extra)
"""


def test_a_batch_of_bytes_needs_no_numpy():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_NUMPY], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "['10.0.0.0', '10.0.0.1'] ['10.0.0.0', '10.0.0.1']", "['ns/c', 'ns/d']", "batch", "batch",
    ]  # fmt: skip
