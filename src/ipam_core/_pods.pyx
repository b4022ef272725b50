"""Pods and the addresses they hold: the part of the DataStore for the kubelet's calls."""

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.unicode cimport PyUnicode_CheckExact
from libc.stdint cimport INT64_MAX, int64_t, uint16_t, uint32_t, uint64_t

from ipam_core._arguments cimport clock_ns, most_ns, time_ns
from ipam_core._assign cimport pool_assign
from ipam_core._bits cimport bit, first_set, popcount
from ipam_core._enis cimport assignment_of, described, number_of
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
    table_tag,
)
from ipam_core._shared cimport Shared
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
    numbers_reserve,
    slot_extent,
    slot_size,
    window_reach,
)
from ipam_core._text cimport given_text, plain_text, read_address
from ipam_core._values cimport (
    Assignment,
    PoolStats,
    Sandbox,
    UsedAddress,
    spare_one,
    spares,
)

from ipam_core.errors import (
    AddressInUseError,
    CapacityError,
    DuplicateError,
    PoolExhaustedError,
    UnknownAddressError,
    UnknownSandboxError,
)


cdef extern from *:
    """
    #define ipam_core_handed_over(owned) ((void *)(owned))
    """
    Assignment handed_over "ipam_core_handed_over" (PyObject *owned)    # as a new reference


cdef Assignment store_assign(Shared store, Sandbox sandbox, object pod, object now_ns):
    """Assign an address to a sandbox; one that has an address keeps it."""
    return give(store, sandbox, pod, time_ns(now_ns, &store.latest_ns, "now_ns"), True)


cdef Assignment store_try_assign(Shared store, Sandbox sandbox, object pod, object now_ns):
    """Do as `store_assign`, but return None if no address can be given now."""
    return give(store, sandbox, pod, time_ns(now_ns, &store.latest_ns, "now_ns"), False)


cdef inline Assignment give(Shared store, Sandbox sandbox, object pod, int64_t now, bint raises):
    """Assign an address to a sandbox; None if none can be given now, and it is not to raise."""
    cdef uint32_t number
    cdef int answer
    if pod is not None and not PyUnicode_CheckExact(pod):
        pod = plain_text(pod, "pod")
    if store.busy:
        store.wait()
    if spares.n == 0:
        spare_one()
    answer = pool_assign(&store.pool, sandbox.c_digest, now, &number)
    if answer == DONE:
        return own(store, number, sandbox, <str> pod)
    if answer == ALREADY:
        return own_named(store, number, sandbox, <str> pod)
    if answer == EXHAUSTED and not raises:
        return None
    raise refused(store, answer, now)


cdef Assignment store_adopt(Shared store, Sandbox sandbox, object address, object pod,
                            object now_ns, bint beside):
    """Assign a given address, of any kind, cooling or not: used by a restart."""
    cdef int64_t now = time_ns(now_ns, &store.latest_ns, "now_ns")
    cdef str text = given_text(address), name = None if pod is None else plain_text(pod, "pod")
    cdef Place place = place_of(store, text)
    cdef uint32_t number = pool_record_at(&store.pool, place)
    cdef uint32_t position, tag, other
    reserve(store, place)
    spare_one()
    position = table_seek(&store.pool.records, sandbox.c_digest)
    other = table_at(&store.pool.records, position)
    if number != NONE and record_is_of(&store.pool.records.array[number], sandbox.c_digest):
        return own_named(store, number, sandbox, name)
    if other != NONE:
        if not beside:
            raise DuplicateError("assignment of", repr(sandbox))
        position = table_seek_end(&store.pool.records, position)
    if number != NONE and store.pool.records.array[number].state == HELD:
        raise AddressInUseError(text)
    if number != NONE and store.pool.records.array[number].state == COOLING:
        pool_end_cooling(&store.pool, number)
    tag = table_tag(&store.pool.records, sandbox.c_digest)
    number = pool_hold(&store.pool, place, position, tag, sandbox.c_digest, now)
    return own(store, number, sandbox, name)


cdef int store_cool(Shared store, object address, object released_ns) except -1:
    """Let a free address cool from `released_ns` on: used by a restart."""
    cdef int64_t released = time_ns(released_ns, &store.latest_ns, "released_ns")
    cdef int64_t now = released if store.latest_ns == INT64_MAX else max(released, clock_ns())
    cdef str text = given_text(address)
    cdef Place place = place_of(store, text)
    cdef uint32_t number = pool_record_at(&store.pool, place)
    pool_expire(&store.pool, now)
    if number != NONE and store.pool.records.array[number].state == HELD:
        raise AddressInUseError(text)
    if number != NONE and store.pool.records.array[number].state == COOLING:
        raise AddressInUseError(text, 0, n_cooling=1)
    reserve(store, place)
    number = pool_record_for(&store.pool, place)
    pool_take(&store.pool, place, <uint16_t> bit(place.offset % PER_CELL))
    pool_cool(&store.pool, number, released)
    return 0


cdef Assignment store_release(Shared store, Sandbox sandbox, object now_ns):
    """Release what a sandbox holds and let it cool; return what it held."""
    return take_back(store, sandbox, time_ns(now_ns, &store.latest_ns, "now_ns"), True)


cdef Assignment store_try_release(Shared store, Sandbox sandbox, object now_ns):
    """Do as `store_release`, but return None if the sandbox holds nothing."""
    return take_back(store, sandbox, time_ns(now_ns, &store.latest_ns, "now_ns"), False)


cdef inline Assignment take_back(Shared store, Sandbox sandbox, int64_t now, bint raises):
    """Release what a sandbox holds; None if it holds nothing, and it is not to raise."""
    cdef Assignment released
    cdef Record *record
    cdef uint32_t position, number
    if store.busy:
        store.wait()
    position = table_seek(&store.pool.records, sandbox.c_digest)
    number = table_at(&store.pool.records, position)
    if number == NONE:
        if raises:
            raise UnknownSandboxError(sandbox)
        return None
    record = &store.pool.records.array[number]
    if record.assignment != NULL:
        released = handed_over(record.assignment)  # the record, held no more, owns it no more
    else:
        released = known_as(store, number, sandbox)
    table_remove(&store.pool.records, position)
    pool_cool(&store.pool, number, now)
    return released


cdef Assignment store_unassign(Shared store, Sandbox sandbox):
    """Take back an assignment that was not reported yet: its address does not cool."""
    cdef Assignment undone
    cdef uint32_t position, number
    store.wait()
    position = table_seek(&store.pool.records, sandbox.c_digest)
    number = table_at(&store.pool.records, position)
    if number == NONE:
        raise UnknownSandboxError(sandbox)
    undone = known_as(store, number, sandbox)
    record_forget(&store.pool.records.array[number])
    table_remove(&store.pool.records, position)
    pool_drop(&store.pool, number,
              max(undone.assigned_ns - store.pool.cooldown_ns, 2 - most_ns()) - 1)
    return undone


cdef Assignment store_find(Shared store, Sandbox sandbox):
    """Return what a sandbox holds, or None."""
    cdef uint32_t number
    store.wait()
    number = table_find(&store.pool.records, sandbox.c_digest)
    return None if number == NONE else known_as(store, number, sandbox)


cdef Assignment store_find_address(Shared store, object address):
    """Return the assignment of an address, or None."""
    cdef Place place
    cdef uint32_t number
    cdef int family
    cdef uint64_t high, low
    read_address(given_text(address), &family, &high, &low)
    store.wait()
    if not pool_locate(&store.pool, family, high, low, &place):
        return None
    number = pool_record_at(&store.pool, place)
    if number == NONE or store.pool.records.array[number].state != HELD:
        return None
    return assignment_of(store, number)


cdef list store_assignments(Shared store):
    """List the present assignments."""
    cdef list found = []
    cdef uint32_t number
    store.wait()
    for number in range(store.pool.records.n_records):
        if store.pool.records.array[number].state == HELD:
            found.append(assignment_of(store, number))
    return found


cdef list store_used_addresses(Shared store, object eni_id):
    """Return an ENI's addresses that are or were held or cooling, in address order."""
    cdef list found = [], places = []
    cdef str name = plain_text(eni_id, "eni_id")
    cdef EniState *eni
    cdef uint64_t slots
    cdef uint32_t number
    cdef UsedAddress used
    cdef Assignment where
    cdef Record *record
    cdef Place place
    store.wait()
    place.eni = number_of(store, name)
    eni = store.pool.enis[place.eni]
    for place.kind in range(N_KINDS):
        slots = eni.groups[place.kind].attached
        while slots:
            place.slot = first_set(slots)
            slots &= slots - 1
            for place.offset in range(slot_extent(eni, place.kind, place.slot)):
                number = pool_record_at(&store.pool, place)
                if number == NONE:
                    continue
                record = &store.pool.records.array[number]
                where = assignment_of(store, number)
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


cdef Place place_of(Shared store, str address) except *:
    """Wait for the store, then find the place of an address. Raises `UnknownAddressError`."""
    cdef Place place
    cdef int family
    cdef uint64_t high, low
    read_address(address, &family, &high, &low)
    store.wait()
    if not pool_locate(&store.pool, family, high, low, &place):
        raise UnknownAddressError(address, "any ENI")
    return place


cdef int reserve(Shared store, Place place) except -1:
    """Make room for a record of an address, for its number, and for the address in its window."""
    cdef EniState *eni = store.pool.enis[place.eni]
    if place.kind == IPV6_PREFIX:
        if place.offset >= N_CELLS * PER_CELL:
            raise CapacityError("addresses given out of an IPv6 prefix",
                                N_CELLS * PER_CELL)
        if window_reach(&eni.windows[place.slot], place.offset) < 0:
            raise MemoryError
    elif place.kind == SECONDARY_IP and eni.numbers == NULL:
        if numbers_reserve(eni, eni.capacity[SECONDARY_IP]) < 0:
            raise MemoryError
    if records_reserve(&store.pool.records) < 0:
        raise MemoryError
    return 0


cdef Assignment own(Shared store, uint32_t number, Sandbox sandbox, str pod):
    """Return the assignment of a record that is newly held, which keeps it too.

    It is a new one: call `spare_one` before the record is held, because that may raise.
    """
    cdef Assignment given = described(store, number, sandbox, pod)
    Py_INCREF(given)
    store.pool.records.array[number].assignment = <PyObject*> given
    return given


cdef Assignment own_named(Shared store, uint32_t number, Sandbox sandbox, str pod):
    """Return the assignment of a record; if only the digest was known, it takes these names."""
    cdef Record *record = &store.pool.records.array[number]
    cdef Assignment held
    if record.assignment != NULL:
        held = <Assignment> record.assignment
        if held.sandbox.c_named or not sandbox.c_named:
            return held
        pod = held.pod if pod is None else pod
        record_forget(record)
    return own(store, number, sandbox, pod)


cdef Assignment known_as(Shared store, uint32_t number, Sandbox sandbox):
    """Return the assignment of a record; after a batch this makes it and names the sandbox."""
    cdef PyObject *assignment = store.pool.records.array[number].assignment
    if assignment != NULL:
        return <Assignment> assignment
    spare_one()
    return described(store, number, sandbox, None)


cdef object refused(Shared store, int answer, int64_t now_ns):
    """Return the exception for an answer of the pool."""
    cdef PoolStats stats
    if answer == NO_MEMORY:
        return MemoryError()
    stats = counts_of(store, now_ns, -1)
    return PoolExhaustedError(
        total=stats.total, assigned=stats.assigned, cooling=stats.cooling)


cdef PoolStats counts_of(Shared store, int64_t now_ns, int card):
    """Return the counts of a network card, -1 for all."""
    cdef PoolStats value = PoolStats.__new__(PoolStats)
    cdef EniState *eni
    cdef Group *group
    cdef int rank, kind
    pool_expire(&store.pool, now_ns)
    for rank in range(store.pool.n_enis):
        eni = pool_ranked(&store.pool, rank)
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
            if not eni.excluded and pool_counts(&store.pool, kind):
                value.total += slot_size(kind) * popcount(group.attached)
                value.assigned += group.n_held
                value.cooling += group.n_cooling
    return value
