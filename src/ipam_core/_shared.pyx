"""The pool of a store, shared by its callers: the lock, the clock, the constructor's values.

A method of a store parses its arguments, waits for the store, and then runs C code to the end.
While it uses what it read of the pool, it makes nothing that could start a garbage collection
or run a caller's code: lists are made before, and the values are outside the collector. So a
method under the GIL is one step for other threads; batches, which release the GIL, hold the
store's own lock instead.
"""

from cpython.pythread cimport (
    PyThread_acquire_lock,
    PyThread_allocate_lock,
    PyThread_free_lock,
    PyThread_release_lock,
    WAIT_LOCK,
)
from cpython.ref cimport Py_DECREF
from libc.stdint cimport INT64_MAX, int64_t, uint64_t

from ipam_core._arguments cimport MOST_SECONDS, checked_int
from ipam_core._pool cimport ARBITRARY, FIRST, N_ENIS, PACK, SPREAD, pool_ranked
from ipam_core._records cimport records_close, records_init
from ipam_core._slot_memory cimport eni_free
from ipam_core._slots cimport IPV6_PREFIX, N_SLOTS, PREFIX, SECONDARY_IP
from ipam_core._walk cimport GROUP

import os
import sys

from ipam_core.errors import ForkedError

# A free-threaded Python turns the GIL on when it loads this, unless that is forbidden.
if not getattr(sys, "_is_gil_enabled", lambda: True)():
    raise ImportError("ipam_core needs the GIL, and this Python runs with PYTHON_GIL=0 or -X gil=0")

_KINDS = {
    "secondary-ip": 1 << SECONDARY_IP,
    "prefix": 1 << PREFIX,
    "mixed": 1 << SECONDARY_IP | 1 << PREFIX,
    "ipv6": 1 << IPV6_PREFIX,
}
_PLACEMENTS = {"pack": PACK, "first": FIRST, "spread": SPREAD, "arbitrary": ARBITRARY}


cdef extern from *:
    """
    #if defined(_WIN32)
    #include <process.h>
    #define ipam_getpid _getpid
    #else
    #include <unistd.h>
    #define ipam_getpid getpid
    #endif
    """
    int getpid "ipam_getpid"() noexcept nogil


cdef int one_of(dict names, object name, str what) except -1:
    """Return the number of a name. Raises `ValueError` if it is not known."""
    if name not in names:
        raise ValueError(f"{what} {name!r}: one of {', '.join(names)}")
    return names[name]


cdef class Shared:
    """A store's pool, and the lock and the clock of its callers."""

    MAX_ENIS = N_ENIS
    MAX_SLOTS = N_SLOTS

    def __cinit__(self):
        cdef bytes key = os.urandom(16)
        self._numbers = {}
        self.pool.reach = GROUP
        self.process = getpid()
        self.lock = PyThread_allocate_lock()
        if (records_init(&self.pool.records, <const uint64_t*> <const char*> key) < 0
                or self.lock == NULL):
            raise MemoryError

    def __init__(self, mode="secondary-ip", *, cooldown_s=30, placement="pack", seed=0,
                 given_time=False):
        cdef int kinds = one_of(_KINDS, mode, "mode")
        cdef int chosen = one_of(_PLACEMENTS, placement, "placement")
        cdef int64_t cooldown_ns
        cdef uint64_t random = seed & 0xFFFF_FFFF_FFFF_FFFF
        cdef bint any_time = given_time
        if not 0 <= cooldown_s <= MOST_SECONDS:
            raise ValueError(f"cooldown_s {cooldown_s!r}: from 0 to {MOST_SECONDS}")
        cooldown_ns = checked_int(round(cooldown_s * 1_000_000_000), 0,
                                  <int64_t> MOST_SECONDS * 1_000_000_000, "cooldown_ns")
        # From here on nothing runs a caller's code.
        if self.pool.kinds:
            raise TypeError("a store that is made cannot be made again")
        self.pool.kinds = kinds
        self.pool.placement = chosen
        self.pool.cooldown_ns = cooldown_ns
        self.pool.random = random
        self.latest_ns = INT64_MAX if any_time else 0

    def __dealloc__(self):
        cdef int rank
        for rank in range(self.pool.n_enis):
            Py_DECREF(<object> pool_ranked(&self.pool, rank).eni_id)
            Py_DECREF(<object> pool_ranked(&self.pool, rank).subnet_id)
            eni_free(pool_ranked(&self.pool, rank))
        records_close(&self.pool.records)
        if self.lock != NULL:
            PyThread_free_lock(self.lock)

    # --- threads and processes ------------------------------------------------------------

    cdef int hold(self) except -1:
        """Block every other call until `let_go`, so that the GIL can be released."""
        self.wait()
        if self.process != getpid():
            # The lock may be held by a thread that does not exist in this forked process.
            self.lock = PyThread_allocate_lock()
            if self.lock == NULL:
                raise MemoryError
            self.process = getpid()
        self.busy = True
        PyThread_acquire_lock(self.lock, WAIT_LOCK)
        return 0

    cdef void let_go(self) noexcept:
        """Let other calls in again. Needs the GIL."""
        self.busy = False
        PyThread_release_lock(self.lock)

    cdef inline int wait(self) except -1:
        """Wait while a batch holds the store. `busy` changes only under the GIL.

        Raises `ForkedError` if that batch runs in a thread of the parent process: it never
        ends here, and its changes stay half made.
        """
        while self.busy:
            if self.process != getpid():
                raise ForkedError("a DataStore in the middle of a batch", self.process)
            with nogil:
                PyThread_acquire_lock(self.lock, WAIT_LOCK)
                PyThread_release_lock(self.lock)
        return 0

    # --- properties -----------------------------------------------------------------------

    @property
    def mode(self):
        """The kinds that are assigned from and counted. Settable; the others drain."""
        return next((name for name, kinds in _KINDS.items() if kinds == self.pool.kinds), None)

    @mode.setter
    def mode(self, mode):
        cdef int kinds = one_of(_KINDS, mode, "mode")
        self.wait()
        self.pool.kinds = kinds

    @property
    def cooldown_ns(self):
        """How long a released address cools, in nanoseconds."""
        return self.pool.cooldown_ns

    @property
    def placement(self):
        """The name of the placement, by which an address is chosen."""
        return next(name for name, value in _PLACEMENTS.items()
                    if value == self.pool.placement)

    @property
    def given_time(self):
        """Whether its callers give times of a clock of their own."""
        return self.latest_ns == INT64_MAX
