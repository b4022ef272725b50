"""Secondary IPs and prefixes: the part of the DataStore for the content of ENIs' slots."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from ipam_core._arguments cimport time_ns
from ipam_core._bits cimport bit, first_set
from ipam_core._enis cimport list_held, number_of
from ipam_core._ipv4 cimport c_parse_address
from ipam_core._pool cimport ARBITRARY, pool_empty_slot, pool_expire, pool_ranked, pool_refresh
from ipam_core._seats cimport seat_slot
from ipam_core._shared cimport Shared
from ipam_core._slot_memory cimport slot_attach, slot_reserve
from ipam_core._slots cimport (
    COOLING,
    HELD,
    IPV6_PREFIX,
    N_KINDS,
    N_SLOTS,
    PER_CELL,
    PREFIX,
    SECONDARY_IP,
    EniState,
    eni_n_slots,
    slot_base,
    slot_count,
    slot_find,
)
from ipam_core._text cimport address_text, given_text, plain_text, prefix_text, read_prefix
from ipam_core._walk cimport walk_list

from ipam_core.errors import (
    AddressInUseError,
    CapacityError,
    DuplicateError,
    UnknownAddressError,
)


cdef int store_add_address(Shared store, object eni_id, object address) except -1:
    """Attach a secondary IPv4 address to an ENI."""
    cdef str text = given_text(address)
    attach(store, plain_text(eni_id, "eni_id"), SECONDARY_IP, 0, <uint64_t> c_parse_address(text),
           text, -1)
    return 0


cdef int store_add_prefix(Shared store, object eni_id, object prefix) except -1:
    """Attach an IPv4 /28 or an IPv6 /80 to an ENI."""
    cdef str text = given_text(prefix)
    cdef int kind
    cdef uint64_t high, low
    read_prefix(text, &kind, &high, &low)
    attach(store, plain_text(eni_id, "eni_id"), kind, high, low, text, -1)
    return 0


cdef int attach(Shared store, str eni_id, int kind, uint64_t high, uint64_t low, str text,
                int slot) except -1:
    """Put an address or prefix into a slot, -1 for the lowest that is empty."""
    cdef EniState *eni
    store.wait()
    eni = store.pool.enis[number_of(store, eni_id)]
    if is_taken(store, kind, high, low):
        raise DuplicateError("address" if kind == SECONDARY_IP else "prefix", text)
    if eni_n_slots(eni) >= N_SLOTS:
        raise CapacityError(f"slots of ENI {eni_id!r}", N_SLOTS)
    if slot < 0:
        slot = seat_slot(&store.pool, eni, kind)
        if slot < 0:
            raise MemoryError
    elif eni.groups[kind].attached & bit(slot):
        raise DuplicateError("slot", str(slot))
    elif slot_reserve(eni, kind, slot) < 0:
        raise MemoryError
    slot_attach(eni, kind, slot, high, low)
    pool_refresh(&store.pool, eni, kind)
    return 0


cdef bint is_taken(Shared store, int kind, uint64_t high, uint64_t low) noexcept:
    """Return whether any of these addresses is attached to some ENI."""
    cdef EniState *eni
    cdef uint64_t slots
    cdef uint32_t size = PER_CELL if kind == PREFIX else 1
    cdef int rank
    for rank in range(store.pool.n_enis):
        eni = pool_ranked(&store.pool, rank)
        if kind == IPV6_PREFIX:
            if slot_find(eni, IPV6_PREFIX, high, low) >= 0:
                return True
            continue
        if slot_find(eni, PREFIX, 0, low & ~<uint64_t> 15) >= 0:
            return True
        slots = eni.groups[SECONDARY_IP].attached
        while slots:
            if eni.secondary_ips[first_set(slots)] - <uint32_t> low < size:
                return True
            slots &= slots - 1
    return False


cdef list store_remove_address(Shared store, object eni_id, object address, bint force):
    """Detach a secondary IP; return the assignment that was lost with it, in a list."""
    cdef str text = given_text(address)
    return detach(store, plain_text(eni_id, "eni_id"), SECONDARY_IP, 0,
                  <uint64_t> c_parse_address(text), text, force)


cdef list store_remove_prefix(Shared store, object eni_id, object prefix, bint force):
    """Detach a prefix; return the assignments that were lost with it. As `remove_address`."""
    cdef str text = given_text(prefix)
    cdef int kind
    cdef uint64_t high, low
    read_prefix(text, &kind, &high, &low)
    return detach(store, plain_text(eni_id, "eni_id"), kind, high, low, text, force)


cdef list detach(Shared store, str eni_id, int kind, uint64_t high, uint64_t low, str text,
                 bint force):
    cdef list lost = []
    cdef EniState *eni
    cdef int number, slot
    store.wait()
    number = number_of(store, eni_id)
    eni = store.pool.enis[number]
    slot = slot_find(eni, kind, high, low)
    if slot < 0:
        raise UnknownAddressError(text, f"ENI {eni_id!r}")
    if not force and not eni.groups[kind].idle & bit(slot):
        raise AddressInUseError(text, slot_count(eni, kind, slot, HELD))
    list_held(store, number, kind, slot, lost)
    pool_empty_slot(&store.pool, eni, number, kind, slot)
    return lost


cdef list store_freeable_cidrs(Shared store, object eni_id, bint cooling, object now_ns):
    """Return an ENI's secondary IPs and /28s without a pod; `cooling` as above."""
    cdef list found = []
    cdef str name = plain_text(eni_id, "eni_id")
    cdef int64_t now = time_ns(now_ns, &store.latest_ns, "now_ns")
    cdef uint64_t low[N_SLOTS]
    cdef uint64_t high
    cdef int kind_of[N_SLOTS]
    cdef int seats[64]
    cdef EniState *eni
    cdef int at, kind, n_seats, n = 0
    store.wait()
    eni = store.pool.enis[number_of(store, name)]
    if not cooling:
        pool_expire(&store.pool, now)
    if store.pool.placement != ARBITRARY:
        return (texts_of(store, name, 1 << PREFIX, True, cooling, now_ns)
                + texts_of(store, name, 1 << SECONDARY_IP, True, cooling, now_ns))
    n_seats = walk_list(eni.groups[PREFIX].idle | eni.groups[SECONDARY_IP].idle, eni.reach,
                        &store.pool.random, seats)
    for at in range(n_seats):
        for kind in range(IPV6_PREFIX):
            if eni.groups[kind].idle & bit(seats[at]) and (
                    cooling or slot_count(eni, kind, seats[at], COOLING) == 0):
                kind_of[n] = kind
                slot_base(eni, kind, seats[at], &high, &low[n])
                n += 1
    for at in range(n):
        found.append(address_text(SECONDARY_IP, 0, low[at]) if kind_of[at] == SECONDARY_IP
                     else prefix_text(PREFIX, 0, low[at]))
    return found


cdef list texts_of(Shared store, object eni_id, int kinds, bint only_idle, bint cooling,
                   object now_ns):
    cdef list found = []
    cdef str name = plain_text(eni_id, "eni_id")
    cdef int64_t now = time_ns(now_ns, &store.latest_ns, "now_ns")
    cdef uint64_t base[N_SLOTS][2]
    cdef int kind_of[N_SLOTS]
    cdef EniState *eni
    cdef uint64_t slots
    cdef int kind, slot, n = 0
    store.wait()
    eni = store.pool.enis[number_of(store, name)]
    if not cooling:
        pool_expire(&store.pool, now)
    for kind in range(N_KINDS):
        slots = eni.groups[kind].idle if only_idle else eni.groups[kind].attached
        while slots and kinds >> kind & 1:
            slot = first_set(slots)
            slots &= slots - 1
            if cooling or slot_count(eni, kind, slot, COOLING) == 0:
                kind_of[n] = kind
                slot_base(eni, kind, slot, &base[n][0], &base[n][1])
                n += 1
    for slot in range(n):
        kind = kind_of[slot]
        found.append(address_text(SECONDARY_IP, 0, base[slot][1]) if kind == SECONDARY_IP
                     else prefix_text(kind, base[slot][0], base[slot][1]))
    return found
