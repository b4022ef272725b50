"""Placements of a caller's own: the slots with room, and an address out of one of them."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from ipam_core._arguments cimport time_ns
from ipam_core._bits cimport bit, first_set
from ipam_core._pods cimport own, own_named
from ipam_core._pool cimport (
    ARBITRARY,
    Place,
    pool_counts,
    pool_expire,
    pool_hold,
    pool_locate,
    pool_ranked,
)
from ipam_core._records cimport records_reserve, table_at, table_seek, table_tag
from ipam_core._shared cimport Shared
from ipam_core._slots cimport (
    COOLING,
    HELD,
    IPV6_PREFIX,
    NONE,
    N_KINDS,
    SECONDARY_IP,
    EniState,
    slot_base,
    slot_count,
    slot_pick,
    slot_room,
)
from ipam_core._text cimport (
    address_text,
    given_text,
    plain_text,
    prefix_text,
    read_address,
    read_prefix,
)
from ipam_core._values cimport Assignment, FreeSlot, Sandbox, spare_one

from ipam_core.errors import AddressInUseError, UnknownAddressError


cdef list store_free_slots(Shared store, object now_ns):
    """Return the slots that can give an address now, by ENI, then as the ENI lists them."""
    cdef int64_t now = time_ns(now_ns, &store.latest_ns, "now_ns")
    cdef list found = []
    cdef EniState *eni
    cdef FreeSlot free
    cdef uint64_t slots, high, low
    cdef int rank, kind, slot, n_held, n_cooling
    store.wait()
    pool_expire(&store.pool, now)
    for rank in range(store.pool.n_enis):
        eni = pool_ranked(&store.pool, rank)
        for kind in range(N_KINDS):
            slots = eni.groups[kind].has_free
            if eni.excluded or not pool_counts(&store.pool, kind):
                continue
            while slots:
                slot = first_set(slots)
                slots &= slots - 1
                n_held = slot_count(eni, kind, slot, HELD)
                n_cooling = slot_count(eni, kind, slot, COOLING)
                slot_base(eni, kind, slot, &high, &low)
                free = FreeSlot.__new__(FreeSlot)
                free.eni_id, free.device_number = <str> eni.eni_id, eni.device_number
                free.cidr = (address_text(SECONDARY_IP, 0, low) if kind == SECONDARY_IP
                             else prefix_text(kind, high, low))
                free.n_free = slot_room(kind) - n_held - n_cooling
                free.n_assigned, free.n_cooling = n_held, n_cooling
                found.append(free)
    return found


cdef Assignment store_assign_from(Shared store, object cidr, Sandbox sandbox, object pod,
                                  object now_ns):
    """Assign an address out of a secondary IP's or a prefix's slot."""
    cdef int64_t now = time_ns(now_ns, &store.latest_ns, "now_ns"), offset
    cdef str text = given_text(cidr), name = None if pod is None else plain_text(pod, "pod")
    cdef EniState *eni
    cdef Place place
    cdef uint32_t position, tag, number
    cdef int kind
    cdef uint64_t high, low
    if "/" in text:
        read_prefix(text, &kind, &high, &low)
    else:
        read_address(text, &kind, &high, &low)
        kind = SECONDARY_IP if kind == SECONDARY_IP else -1    # no IPv6 address has a slot
    store.wait()
    if kind < 0 or not pool_locate(
            &store.pool, IPV6_PREFIX if kind == IPV6_PREFIX else SECONDARY_IP, high, low,
            &place) or place.kind != kind or not pool_counts(&store.pool, kind):
        raise UnknownAddressError(text, "the list of what this store assigns from")
    eni = store.pool.enis[place.eni]
    spare_one()
    if records_reserve(&store.pool.records) < 0:
        raise MemoryError
    position = table_seek(&store.pool.records, sandbox.c_digest)
    number = table_at(&store.pool.records, position)
    if number != NONE:
        return own_named(store, number, sandbox, name)
    pool_expire(&store.pool, now)
    if eni.excluded or not eni.groups[kind].has_free & bit(place.slot):
        raise AddressInUseError(text, slot_count(eni, kind, place.slot, HELD),
                                n_cooling=slot_count(eni, kind, place.slot, COOLING))
    offset = slot_pick(eni, kind, place.slot, store.pool.placement == ARBITRARY)
    if offset < 0:
        raise MemoryError
    place.offset = <uint32_t> offset
    tag = table_tag(&store.pool.records, sandbox.c_digest)
    number = pool_hold(&store.pool, place, position, tag, sandbox.c_digest, now)
    return own(store, number, sandbox, name)
