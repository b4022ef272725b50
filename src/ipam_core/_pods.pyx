"""Pods and the addresses they hold: the part of the DataStore for the kubelet's calls."""

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.unicode cimport PyUnicode_CheckExact
from libc.stdint cimport INT64_MAX, int64_t, uint16_t, uint32_t, uint64_t

from ipam_core._arguments cimport clock_ns, most_ns, time_ns
from ipam_core._assign cimport pool_assign
from ipam_core._bits cimport bit, first_set, popcount
from ipam_core._pool cimport (
    ALREADY,
    DONE,
    EXHAUSTED,
    NO_MEMORY,
    Place,
    pool_cool,
    pool_counts,
    pool_drop,
    pool_end_cooling,
    pool_expire,
    pool_hold,
    pool_locate,
    pool_ranked,
    pool_record_at,
    pool_record_for,
    pool_take,
)
from ipam_core._records cimport (
    Record,
    record_forget,
    record_is_of,
    records_reserve,
    table_at,
    table_find,
    table_remove,
    table_seek,
    table_seek_end,
)
from ipam_core._slots cimport (
    COOLING,
    HELD,
    IPV6_PREFIX,
    NONE,
    N_CELLS,
    N_KINDS,
    PER_CELL,
    SECONDARY_IP,
    EniState,
    Group,
    slot_extent,
    slot_size,
    window_reach,
)
from ipam_core._text cimport given_text, plain_text, read_address
from ipam_core._values cimport Assignment, PoolStats, Sandbox, UsedAddress

from ipam_core.errors import (
    AddressInUseError,
    CapacityError,
    DuplicateError,
    PoolExhaustedError,
    UnknownAddressError,
    UnknownSandboxError,
)


cdef class Pods(Attached):
    """The assignments of a store, one by one."""

    # --- pods ---------------------------------------------------------------------------

    def assign(self, Sandbox sandbox not None, pod=None, now_ns=None):
        """Assign an address to a sandbox; one that has an address keeps it.

        `pod` is "namespace/name", or any text to be kept with the assignment. If only the
        digest of the holder is known, as after `assign_many`, the assignment takes these
        names. Raises `PoolExhaustedError` if no address can be given now. Cost: constant.
        Source: pool-rules section 3.
        """
        cdef Assignment given
        cdef int64_t now = time_ns(now_ns, &self.latest_ns, "now_ns")
        given = self.give(sandbox, pod, now)
        if given is None:
            raise self.refused(EXHAUSTED, now)
        return given

    def try_assign(self, Sandbox sandbox not None, pod=None, now_ns=None):
        """Do as `assign`, but return None where nothing can be given now.

        For callers that are refused often: an exception costs ten times as much.
        """
        return self.give(sandbox, pod, time_ns(now_ns, &self.latest_ns, "now_ns"))

    cdef inline Assignment give(self, Sandbox sandbox, object pod, int64_t now):
        """Assign an address to a sandbox; None where none can be given now."""
        cdef Assignment given
        cdef uint32_t number
        cdef int answer
        if pod is not None and not PyUnicode_CheckExact(pod):
            pod = plain_text(pod, "pod")
        if self.busy:
            self.wait()
        given = Assignment.__new__(Assignment)
        answer = pool_assign(&self.pool, sandbox.c_digest, now, &number)
        if answer == ALREADY:
            return self.named(number, given, sandbox, <str> pod)
        if answer == EXHAUSTED:
            return None
        if answer != DONE:
            raise self.refused(answer, now)
        return self.own(number, given, sandbox, <str> pod)

    def adopt(self, Sandbox sandbox not None, address, pod=None, now_ns=None, *,
              bint beside=False):
        """Assign a given address, of any kind, cooling or not: used by a restart.

        Raises `UnknownAddressError` if it is not attached; `AddressInUseError` if another
        sandbox holds it; `DuplicateError` if the sandbox holds another, unless with `beside`
        it keeps both, as a checkpoint may have it: a release then ends one; `CapacityError`
        beyond the first 65,536 of an IPv6 prefix. Cost: one pass over the store's slots.
        """
        cdef int64_t now = time_ns(now_ns, &self.latest_ns, "now_ns")
        cdef str text = given_text(address), name = None if pod is None else plain_text(pod, "pod")
        cdef Place place = self.place_of(text)
        cdef uint32_t number = pool_record_at(&self.pool, place)
        cdef uint32_t position, other
        cdef Assignment given = Assignment.__new__(Assignment)
        self.reserve(place)
        position = table_seek(&self.pool.records, sandbox.c_digest)
        other = table_at(&self.pool.records, position)
        if number != NONE and record_is_of(&self.pool.records.array[number], sandbox.c_digest):
            return self.named(number, given, sandbox, name)
        if other != NONE:
            if not beside:
                raise DuplicateError("assignment of", repr(sandbox))
            position = table_seek_end(&self.pool.records, position)
        if number != NONE and self.pool.records.array[number].state == HELD:
            raise AddressInUseError(text)
        if number != NONE and self.pool.records.array[number].state == COOLING:
            pool_end_cooling(&self.pool, number)
        number = pool_hold(&self.pool, place, position, sandbox.c_digest, now)
        return self.own(number, given, sandbox, name)

    def cool(self, address, released_ns):
        """Let a free address cool from `released_ns` on: used by a restart.

        If the cooldown is already over, the address stays free. Raises `UnknownAddressError`,
        `CapacityError` as `adopt`; `AddressInUseError` if it is held or cooling. Cost: one
        pass over the store's slots.
        """
        cdef int64_t released = time_ns(released_ns, &self.latest_ns, "released_ns")
        cdef int64_t now = released if self.latest_ns == INT64_MAX else max(released, clock_ns())
        cdef str text = given_text(address)
        cdef Place place = self.place_of(text)
        cdef uint32_t number = pool_record_at(&self.pool, place)
        pool_expire(&self.pool, now)
        if number != NONE and self.pool.records.array[number].state == HELD:
            raise AddressInUseError(text)
        if number != NONE and self.pool.records.array[number].state == COOLING:
            raise AddressInUseError(text, 0, n_cooling=1)
        self.reserve(place)
        number = pool_record_for(&self.pool, place)
        pool_take(&self.pool, place, <uint16_t> bit(place.offset % PER_CELL))
        pool_cool(&self.pool, number, released)

    def release(self, Sandbox sandbox not None, now_ns=None):
        """Release what a sandbox holds and let it cool; return what it held.

        In a store without a cooldown (`cooldown_s=0`) the address is free at once. Raises
        `UnknownSandboxError` if the sandbox holds nothing. Cost: constant; O(log n) if
        `now_ns` is before that of another release.
        """
        cdef Assignment released
        released = self.take_back(sandbox, time_ns(now_ns, &self.latest_ns, "now_ns"))
        if released is None:
            raise UnknownSandboxError(sandbox)
        return released

    def try_release(self, Sandbox sandbox not None, now_ns=None):
        """Do as `release`, but return None where the sandbox holds nothing."""
        return self.take_back(sandbox, time_ns(now_ns, &self.latest_ns, "now_ns"))

    cdef inline Assignment take_back(self, Sandbox sandbox, int64_t now):
        """Release what a sandbox holds; None where it holds nothing."""
        cdef Assignment released
        cdef uint32_t position, number
        if self.busy:
            self.wait()
        position = table_seek(&self.pool.records, sandbox.c_digest)
        number = table_at(&self.pool.records, position)
        if number == NONE:
            return None
        released = self.known_as(number, sandbox)
        record_forget(&self.pool.records.array[number])
        table_remove(&self.pool.records, position)
        pool_cool(&self.pool, number, now)
        return released

    def unassign(self, Sandbox sandbox not None):
        """Take back an assignment that was not reported yet: its address does not cool.

        It can be given again at once; `used_addresses` lists it as cooled at the time when it
        was assigned. Returns what the sandbox held. Raises `UnknownSandboxError` if it holds
        nothing. Cost: constant.
        """
        cdef Assignment undone
        cdef uint32_t position, number
        self.wait()
        position = table_seek(&self.pool.records, sandbox.c_digest)
        number = table_at(&self.pool.records, position)
        if number == NONE:
            raise UnknownSandboxError(sandbox)
        undone = self.known_as(number, sandbox)
        record_forget(&self.pool.records.array[number])
        table_remove(&self.pool.records, position)
        pool_drop(&self.pool, number,
                  max(undone.assigned_ns - self.pool.cooldown_ns, 2 - most_ns()) - 1)
        return undone

    def find(self, Sandbox sandbox not None):
        """Return what a sandbox holds, or None. Cost: constant."""
        cdef uint32_t number
        self.wait()
        number = table_find(&self.pool.records, sandbox.c_digest)
        return None if number == NONE else self.known_as(number, sandbox)

    def find_address(self, address):
        """Return the assignment of an address, or None. Cost: one pass over the slots."""
        cdef Place place
        cdef uint32_t number
        cdef int family
        cdef uint64_t high, low
        read_address(given_text(address), &family, &high, &low)
        self.wait()
        if not pool_locate(&self.pool, family, high, low, &place):
            return None
        number = pool_record_at(&self.pool, place)
        if number == NONE or self.pool.records.array[number].state != HELD:
            return None
        return self.assignment_of(number)

    def assignments(self):
        """Return an iterator over the present assignments. Cost: O(records)."""
        cdef list found = []
        cdef uint32_t number
        self.wait()
        for number in range(self.pool.records.n_records):
            if self.pool.records.array[number].state == HELD:
                found.append(self.assignment_of(number))
        return iter(found)

    def used_addresses(self, eni_id):
        """Return an ENI's addresses that are or were held or cooling, in address order.

        The agent's /v1/enis endpoint lists the same. Raises `UnknownEniError`. Cost: O(the
        ENI's addresses).
        """
        cdef list found = [], places = []
        cdef str name = plain_text(eni_id, "eni_id")
        cdef EniState *eni
        cdef uint64_t slots
        cdef uint32_t number
        cdef UsedAddress used
        cdef Assignment where
        cdef Record *record
        cdef Place place
        self.wait()
        place.eni = self.number_of(name)
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
                    record = &self.pool.records.array[number]
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
        """Wait for the store, then find the place of an address. Raises `UnknownAddressError`."""
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
        if place.kind == IPV6_PREFIX:
            if place.offset >= N_CELLS * PER_CELL:
                raise CapacityError("addresses given out of an IPv6 prefix",
                                    N_CELLS * PER_CELL)
            if window_reach(&self.pool.enis[place.eni].windows[place.slot], place.offset) < 0:
                raise MemoryError
        if records_reserve(&self.pool.records) < 0:
            raise MemoryError
        return 0

    cdef inline Assignment own(self, uint32_t number, Assignment given, Sandbox sandbox,
                               str pod):
        """Fill in the assignment of a record that is newly held; the record keeps it."""
        cdef Record *record = &self.pool.records.array[number]
        given.sandbox, given.pod = sandbox, pod
        self.describe(number, given)
        Py_INCREF(given)
        record.assignment = <PyObject*> given
        return given

    cdef Assignment named(self, uint32_t number, Assignment given, Sandbox sandbox, str pod):
        """Return the assignment of a record; if only the digest was known, it takes these names."""
        cdef Record *record = &self.pool.records.array[number]
        cdef Assignment held
        if record.assignment != NULL:
            held = <Assignment> record.assignment
            if held.sandbox.c_named or not sandbox.c_named:
                return held
            pod = held.pod if pod is None else pod
            record_forget(record)
        return self.own(number, given, sandbox, pod)

    cdef Assignment known_as(self, uint32_t number, Sandbox sandbox):
        """Return the assignment of a record; after a batch this makes it and names the sandbox."""
        cdef Assignment value = self.assignment_of(number)
        if self.pool.records.array[number].assignment == NULL:
            value.sandbox = sandbox
        return value

    cdef object refused(self, int answer, int64_t now_ns):
        """Return the exception for an answer of the pool."""
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
                if kind != SECONDARY_IP:
                    value.prefixes += popcount(group.attached)
                    value.free_prefixes += popcount(group.idle)
                if not eni.excluded and pool_counts(&self.pool, kind):
                    value.total += slot_size(kind) * popcount(group.attached)
                    value.assigned += group.n_held
                    value.cooling += group.n_cooling
        return value
