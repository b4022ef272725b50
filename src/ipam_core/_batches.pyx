"""Pods by their digests, many at once: rows of two words in, rows of two words out.

What a caller gives is any object with a buffer. It is copied into the object that is returned,
and there each digest is replaced by an address: so nobody changes it meanwhile, and nothing else
is allocated. A NumPy array gives a NumPy array, anything else an `array.array`, which takes a
tenth of the time to make.
"""

from cpython cimport array
from cpython.buffer cimport (
    PyBUF_ND,
    PyBUF_RECORDS_RO,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyBuffer_ToContiguous,
    PyObject_CheckBuffer,
    PyObject_GetBuffer,
)
from libc.stdint cimport int64_t, uint64_t

from ipam_core._arguments cimport time_ns
from ipam_core._batch cimport batch_assign, batch_fits
from ipam_core._batch_release cimport batch_expire, batch_find, batch_release
from ipam_core._pods cimport refused
from ipam_core._pool cimport DONE, Pool
from ipam_core._shared cimport Shared
from ipam_core._values cimport sandbox_of

import array
import sys

from ipam_core._extras import numpy_for
from ipam_core.errors import UnknownSandboxError

cdef enum:
    FEW = 64                  # rows: they are done before the GIL could be given to others
    ROW = 16                  # bytes

cdef array.array _WORDS = array.array("Q")
cdef char _ORDER = b"<" if sys.byteorder == "little" else b">"

# NumPy, its array and the type of its words: once a NumPy array was given.
cdef object _np = None, _ndarray = None, _uint64 = None


cdef struct Rows:
    uint64_t *words
    Py_ssize_t n


ctypedef Py_ssize_t (*PlayRows)(Pool *pool, Rows rows, int64_t now_ns,
                                bint partial) noexcept nogil


cdef object rows_of(object digests, Rows *rows):
    """Return a copy of a batch's digests, for the addresses; `rows` is what it holds."""
    global _np, _ndarray, _uint64
    cdef type kind = type(digests)
    if kind is bytes or kind is array.array or (
            kind is not _ndarray and PyObject_CheckBuffer(digests) and not is_of_numpy(digests)):
        return words_of(digests, rows)
    if _np is None:
        np = numpy_for("a batch of pods")
        _ndarray, _uint64, _np = np.ndarray, np.dtype(np.uint64), np
    return array_of(digests, rows)


cdef bint is_of_numpy(object digests) except -1:
    """Return whether an object is an array of NumPy, or of a subclass."""
    np = sys.modules.get("numpy")
    return np is not None and isinstance(digests, np.ndarray)


cdef object array_of(object digests, Rows *rows):
    """Do as `rows_of` for an array of NumPy, or what NumPy makes one of."""
    cdef Py_buffer view
    copy = digests.copy() if type(digests) is _ndarray else _np.array(digests, order="C")
    if copy.dtype is not _uint64 and copy.dtype != _uint64:
        raise TypeError(f"digests are uint64, not {copy.dtype}")
    PyObject_GetBuffer(copy, &view, PyBUF_ND | PyBUF_WRITABLE)
    # Nobody else has the copy: it stays where it is without the view.
    rows.words, rows.n = <uint64_t*> view.buf, view.shape[0] if view.ndim else 0
    fits = view.ndim == 2 and view.shape[1] == 2
    PyBuffer_Release(&view)
    if not fits:
        raise ValueError(f"digests have shape (n, 2), not {copy.shape}")
    return copy


cdef object words_of(object digests, Rows *rows):
    """Do as `rows_of` for bytes, and for words of 64 bits, in rows or one after the other."""
    cdef Py_buffer view
    cdef array.array copy
    PyObject_GetBuffer(digests, &view, PyBUF_RECORDS_RO)
    try:
        check_words(&view)
        rows.n = view.len // ROW
        copy = array.clone(_WORDS, 2 * rows.n, False)
        rows.words = <uint64_t*> copy.data.as_ulonglongs
        if rows.n:
            PyBuffer_ToContiguous(rows.words, &view, view.len, b"C")
    finally:
        PyBuffer_Release(&view)
    return copy


cdef bint has_words(const Py_buffer *view) noexcept:
    """Return whether the format of a buffer is a word of 64 bits without a sign."""
    cdef const char *text = view.format
    if view.itemsize != 8 or text == NULL:
        return False
    if text[0] == b"@" or text[0] == b"=" or text[0] == _ORDER:
        text += 1
    return (text[0] == b"Q" or text[0] == b"L") and text[1] == 0


cdef int check_words(const Py_buffer *view) except -1:
    """Check that a buffer holds rows. Raises `TypeError` and `ValueError`."""
    cdef bint is_words = has_words(view)
    if not is_words and not (view.format == NULL or view.format[0] == b"B"):
        text = view.format.decode("latin-1")
        raise TypeError(f"digests are uint64, or 16 bytes each, not of format {text!r}")
    if is_words and view.ndim == 2 and view.shape[1] == 2:
        return 0
    if view.ndim != 1:
        raise ValueError("digests have shape (n, 2), not "
                         f"{tuple([view.shape[at] for at in range(view.ndim)])}")
    if view.len % ROW:
        raise ValueError(f"digests are 16 bytes each, not {view.len} bytes")
    return 0


cdef object store_assign_many(Shared store, object digests, object now_ns, bint partial):
    """Assign an address to each of n sandboxes."""
    cdef int64_t now = time_ns(now_ns, &store.latest_ns, "now_ns")
    cdef Rows rows
    cdef object given = rows_of(digests, &rows)
    cdef Py_ssize_t answer = play(store, rows, now, partial, assign_rows)
    if answer != DONE:
        raise refused(store, <int> answer, now)
    return given


cdef Py_ssize_t play(Shared store, Rows rows, int64_t now_ns, bint partial,
                     PlayRows play_rows) except? -100:
    """Play a batch when no other thread changes the store; a large one without the GIL."""
    cdef Py_ssize_t answer
    if rows.n <= FEW:
        store.wait()
        return play_rows(&store.pool, rows, now_ns, partial)
    store.hold()
    with nogil:
        answer = play_rows(&store.pool, rows, now_ns, partial)
    store.let_go()
    return answer


cdef Py_ssize_t assign_rows(Pool *pool, Rows rows, int64_t now_ns,
                            bint partial) noexcept nogil:
    """Assign to all rows, unless `partial` or to none. Returns DONE, EXHAUSTED or NO_MEMORY."""
    cdef int answer = DONE
    batch_expire(pool, now_ns)
    if not partial:
        answer = batch_fits(pool, rows.words, rows.n)
    if answer == DONE:
        answer = batch_assign(pool, rows.words, rows.n, now_ns)
    return answer


cdef object store_release_many(Shared store, object digests, object now_ns, bint partial):
    """Release what each of n sandboxes holds."""
    cdef int64_t now = time_ns(now_ns, &store.latest_ns, "now_ns")
    cdef Rows rows
    cdef object freed = rows_of(digests, &rows)
    cdef Py_ssize_t unknown = play(store, rows, now, partial, release_rows)
    if unknown < rows.n:
        raise UnknownSandboxError(sandbox_of(&rows.words[2 * unknown]))
    return freed


cdef Py_ssize_t release_rows(Pool *pool, Rows rows, int64_t now_ns,
                             bint partial) noexcept nogil:
    """Release all rows; unless `partial`, none if one holds nothing: that one is returned."""
    cdef bint owned = False
    cdef Py_ssize_t unknown = batch_find(pool, rows.words, rows.n, partial, &owned)
    if unknown == rows.n:
        batch_release(pool, rows.words, rows.n, now_ns, owned)
    return unknown
