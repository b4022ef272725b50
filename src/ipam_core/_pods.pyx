"""Pods and the addresses they hold: the part of the DataStore that the kubelet decides."""

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from ipam_core._arguments cimport read_now
from ipam_core._batch cimport batch_assign, batch_fits, batch_release, batch_unknown
from ipam_core._bits cimport bit, first_set, popcount
from ipam_core._ledger cimport (
    Record,
    ledger_at,
    ledger_find,
    ledger_reserve,
    ledger_seek,
    ledger_unhang,
    record_forget,
)
from ipam_core._pool cimport (
    ALREADY,
    DONE,
    NO_MEMORY,
    Place,
    pool_address,
    pool_assign,
    pool_cool,
    pool_counts,
    pool_expire,
    pool_hold,
    pool_locate,
    pool_open,
    pool_ranked,
    pool_record_at,
    pool_record_for,
    pool_release,
    pool_take,
)
from ipam_core._slots cimport (
    COOLING,
    HELD,
    LONE,
    NONE,
    N_CELLS,
    N_KINDS,
    PER_CELL,
    WIDE,
    EniState,
    Group,
    slot_extent,
    slot_size,
    window_reach,
)
from ipam_core._text cimport read_address
from ipam_core._values cimport Assignment, PoolStats, Sandbox, UsedAddress, sandbox_of

from ipam_core.errors import (
    AddressInUseError,
    CapacityError,
    DuplicateError,
    PoolExhaustedError,
    UnknownAddressError,
    UnknownSandboxError,
)


cdef tuple batch_of(object digests):
    """Return a batch's digests, copied, and an array for addresses, as arrays."""
    import numpy as np

    rows = np.array(digests, order="C", ndmin=2)
    if rows.dtype != np.uint64:
        raise TypeError(f"digests are uint64, not {rows.dtype}")
    if rows.ndim != 2 or rows.shape[1] != 2:
        raise ValueError(f"digests have shape (n, 2), not {rows.shape}")
    return rows, np.empty_like(rows)


cdef class Pods(Enis):
    """The assignments of a store, one by one and in batches."""

    # --- pods ---------------------------------------------------------------------------

    def assign(self, Sandbox sandbox not None, str pod=None, now_ns=None):
        """Assign an address to a sandbox; one that has an address keeps it.

        `pod` is "namespace/name", or whatever shall come back with the assignment.
        Raises `PoolExhaustedError` where nothing can be given now. Cost: constant.
        Source: pool-rules section 3.
        """
        cdef int64_t now = read_now(now_ns)
        cdef Assignment given
        cdef uint32_t number
        cdef int answer
        if self.busy:
            self.wait()
        given = Assignment.__new__(Assignment)
        answer = pool_assign(&self.pool, sandbox.c_digest, now, &number)
        if answer == ALREADY:
            return self.assignment_of(number)
        if answer != DONE:
            raise self.refused(answer, now)
        return self.own(number, given, sandbox, pod)

    def adopt(self, Sandbox sandbox not None, str address not None, str pod=None, now_ns=None):
        """Assign a given address, of any kind, cooling or not: what a restart takes over.

        Raises `UnknownAddressError` where it is not attached; `AddressInUseError` where
        another sandbox holds it; `DuplicateError` where the sandbox holds another;
        `CapacityError` beyond the first 65,536 of an IPv6 prefix. Cost: one pass over the
        store's slots.
        """
        cdef int64_t now = read_now(now_ns)
        cdef Place place = self.place_of(address)
        cdef uint32_t number = pool_record_at(&self.pool, place)
        cdef uint32_t position, other
        cdef Assignment given
        self.reserve(place)
        position = ledger_seek(&self.pool.ledger, sandbox.c_digest)
        other = ledger_at(&self.pool.ledger, position)
        if other != NONE:
            if other != number:
                raise DuplicateError("assignment of", repr(sandbox))
            return self.assignment_of(number)
        if number != NONE and self.pool.ledger.records[number].state == HELD:
            raise AddressInUseError(address)
        given = Assignment.__new__(Assignment)
        if number != NONE and self.pool.ledger.records[number].state == COOLING:
            pool_open(&self.pool, number)
        number = pool_hold(&self.pool, place, position, sandbox.c_digest, now)
        return self.own(number, given, sandbox, pod)

    def cool(self, str address not None, released_ns):
        """Let a free address cool from `released_ns` on: what a restart may take over.

        Raises `UnknownAddressError`, `CapacityError` as `adopt`; `AddressInUseError` where
        it is held or cooling. Cost: one pass over the store's slots.
        """
        cdef int64_t released = read_now(released_ns)
        cdef Place place = self.place_of(address)
        cdef uint32_t number = pool_record_at(&self.pool, place)
        if number != NONE and self.pool.ledger.records[number].state in (HELD, COOLING):
            raise AddressInUseError(address)
        self.reserve(place)
        number = pool_record_for(&self.pool, place)
        pool_take(&self.pool, place, <uint16_t> bit(place.offset % PER_CELL))
        pool_cool(&self.pool, number, released)

    def release(self, Sandbox sandbox not None, now_ns=None):
        """Release what a sandbox holds and let it cool; return what it held.

        Raises `UnknownSandboxError` where it holds nothing. Cost: constant.
        """
        cdef int64_t now = read_now(now_ns)
        cdef Assignment released
        cdef uint32_t position, number
        if self.busy:
            self.wait()
        position = ledger_seek(&self.pool.ledger, sandbox.c_digest)
        number = ledger_at(&self.pool.ledger, position)
        if number == NONE:
            raise UnknownSandboxError(sandbox)
        released = self.assignment_of(number)
        record_forget(&self.pool.ledger.records[number])
        ledger_unhang(&self.pool.ledger, position)
        pool_cool(&self.pool, number, now)
        return released

    def find(self, Sandbox sandbox not None):
        """Return what a sandbox holds, or None. Cost: constant."""
        cdef uint32_t number
        self.wait()
        number = ledger_find(&self.pool.ledger, sandbox.c_digest)
        return None if number == NONE else self.assignment_of(number)

    def find_address(self, str address not None):
        """Return the assignment of an address, or None. Cost: one pass over the slots."""
        cdef Place place
        cdef uint32_t number
        cdef int family
        cdef uint64_t high, low
        read_address(address, &family, &high, &low)
        self.wait()
        if not pool_locate(&self.pool, family, high, low, &place):
            return None
        number = pool_record_at(&self.pool, place)
        if number == NONE or self.pool.ledger.records[number].state != HELD:
            return None
        return self.assignment_of(number)

    def assignments(self):
        """Return an iterator over the assignments as they are now. Cost: O(records)."""
        cdef list found = []
        cdef uint32_t number
        self.wait()
        for number in range(self.pool.ledger.n_records):
            if self.pool.ledger.records[number].state == HELD:
                found.append(self.assignment_of(number))
        return iter(found)

    def used_addresses(self, str eni_id not None):
        """Return an ENI's addresses that are or were held or cooling, in address order.

        What the agent's /v1/enis endpoint lists. Raises `UnknownEniError`. Cost: O(the
        ENI's addresses).
        """
        cdef list found = [], places = []
        cdef EniState *eni
        cdef uint64_t slots
        cdef uint32_t number
        cdef UsedAddress used
        cdef Assignment where
        cdef Record *record
        cdef Place place
        self.wait()
        place.eni = self.number_of(eni_id)
        eni = self.pool.enis[place.eni]
        for place.kind in range(N_KINDS):
            slots = eni.groups[place.kind].attached
            while slots:
                place.slot = first_set(slots)
                slots &= slots - 1
                for place.offset in range(slot_extent(eni, place.kind, place.slot)):
                    number = pool_record_at(&self.pool, place)
                    if number == NONE:
                        continue
                    record = &self.pool.ledger.records[number]
                    where = self.assignment_of(number)
                    used = UsedAddress.__new__(UsedAddress)
                    if record.state == HELD:
                        used.sandbox, used.pod = where.sandbox, where.pod
                    used.assigned_ns, used.released_ns = record.assigned_ns, record.released_ns
                    found.append(used)
                    places.append(where)
        for used, where in zip(found, places):
            used.address, used.prefix = where.address, where.prefix
        order = [(where.c_kind, where.c_high, where.c_low) for where in places]
        return [found[k] for k in sorted(range(len(found)), key=order.__getitem__)]

    cdef Place place_of(self, str address) except *:
        """Wait for a turn, then find where an address is. Raises `UnknownAddressError`."""
        cdef Place place
        cdef int family
        cdef uint64_t high, low
        read_address(address, &family, &high, &low)
        self.wait()
        if not pool_locate(&self.pool, family, high, low, &place):
            raise UnknownAddressError(address, "any ENI")
        return place

    cdef int reserve(self, Place place) except -1:
        """Make room for a record of an address, and for the address in its window."""
        if place.kind == WIDE:
            if place.offset >= N_CELLS * PER_CELL:
                raise CapacityError("addresses given out of an IPv6 prefix",
                                    N_CELLS * PER_CELL)
            if window_reach(&self.pool.enis[place.eni].wides[place.slot], place.offset) < 0:
                raise MemoryError
        if ledger_reserve(&self.pool.ledger) < 0:
            raise MemoryError
        return 0

    cdef inline Assignment own(self, uint32_t number, Assignment given, Sandbox sandbox,
                               str pod):
        """Fill in the assignment of a record that is newly held; the record keeps it."""
        cdef Record *record = &self.pool.ledger.records[number]
        given.sandbox, given.pod = sandbox, pod
        self.describe(number, given)
        Py_INCREF(given)
        record.assignment = <PyObject*> given
        return given

    cdef object refused(self, int answer, int64_t now_ns):
        """Return the exception for an answer of the pool's."""
        cdef PoolStats stats
        if answer == NO_MEMORY:
            return MemoryError()
        stats = self.count(now_ns, -1)
        return PoolExhaustedError(
            total=stats.total, assigned=stats.assigned, cooling=stats.cooling)

    cdef PoolStats count(self, int64_t now_ns, int card):
        """Return the counts of a network card, -1 for all."""
        cdef PoolStats value = PoolStats.__new__(PoolStats)
        cdef EniState *eni
        cdef Group *group
        cdef int rank, kind
        pool_expire(&self.pool, now_ns)
        for rank in range(self.pool.n_enis):
            eni = pool_ranked(&self.pool, rank)
            if card >= 0 and eni.network_card != card:
                continue
            value.enis += 1
            for kind in range(N_KINDS):
                group = &eni.groups[kind]
                if not group.attached:
                    continue
                if kind != LONE:
                    value.prefixes += popcount(group.attached)
                    value.free_prefixes += popcount(group.idle)
                if not eni.excluded and pool_counts(&self.pool, kind):
                    value.total += slot_size(kind) * popcount(group.attached)
                    value.assigned += group.n_held
                    value.cooling += group.n_cooling
        return value

    # --- without Python, and in batches ---------------------------------------------------

    cdef int c_assign(self, const uint64_t *digest, int64_t now_ns,
                      uint64_t *address) noexcept nogil:
        """Assign to a digest; see _store.pxd. Changes `address` only on DONE and ALREADY."""
        cdef uint32_t number
        cdef int answer = pool_assign(&self.pool, digest, now_ns, &number)
        if answer == DONE or answer == ALREADY:
            pool_address(&self.pool, number, &address[0], &address[1])
        return answer

    cdef int c_release(self, const uint64_t *digest, int64_t now_ns,
                       uint64_t *address) noexcept nogil:
        """Release what a digest holds; see _store.pxd. Changes `address` only on DONE."""
        cdef uint32_t number
        cdef int answer = pool_release(&self.pool, digest, now_ns, &number)
        if answer == DONE:
            pool_address(&self.pool, number, &address[0], &address[1])
        return answer

    def assign_many(self, digests not None, now_ns=None, *, bint partial=False):
        """Assign an address to each of n sandboxes, without the GIL.

        `digests` is (n, 2) uint64, a row a sandbox's digest (`Sandbox.digest`). Returns
        (n, 2) uint64, each address as its high and low 64 bits. Sandboxes that hold an
        address keep it. With `partial`, rows for which there was none are all ones;
        without, `PoolExhaustedError` says that there are not enough, and none is assigned.
        After a `MemoryError` the rows before it hold their addresses. Cost: constant a row.
        """
        cdef int64_t now = read_now(now_ns)
        cdef tuple batch = batch_of(digests)
        cdef const uint64_t[:, ::1] digest = batch[0]
        cdef uint64_t[:, ::1] address = batch[1]
        cdef Py_ssize_t n = digest.shape[0]
        cdef int answer = DONE
        if n == 0:
            return batch[1]
        self.hold()
        try:
            with nogil:
                pool_expire(&self.pool, now)
                if not partial:
                    answer = batch_fits(&self.pool, &digest[0, 0], n)
                if answer == DONE:
                    answer = batch_assign(&self.pool, &digest[0, 0], n, now, &address[0, 0])
        finally:
            self.let_go()
        if answer != DONE:
            raise self.refused(answer, now)
        return batch[1]

    def release_many(self, digests not None, now_ns=None, *, bint partial=False):
        """Release what each of n sandboxes holds, without the GIL.

        `digests` and the result are as in `assign_many`. With `partial`, rows of sandboxes
        that hold nothing are all ones; without, `UnknownSandboxError` names the first of
        these, or the first that comes twice, and none is released. Cost: constant a row.
        """
        cdef int64_t now = read_now(now_ns)
        cdef tuple batch = batch_of(digests)
        cdef const uint64_t[:, ::1] digest = batch[0]
        cdef uint64_t[:, ::1] address = batch[1]
        cdef Py_ssize_t n = digest.shape[0], unknown = n
        if n == 0:
            return batch[1]
        self.hold()
        try:
            with nogil:
                if not partial:
                    unknown = batch_unknown(&self.pool, &digest[0, 0], n)
                if unknown == n:
                    batch_release(&self.pool, &digest[0, 0], n, now, &address[0, 0])
        finally:
            self.let_go()
        if unknown < n:
            raise UnknownSandboxError(sandbox_of(&digest[unknown, 0]))
        return batch[1]
