"""The complete state of a store to a snapshot and back, slot by slot."""

from libc.stdint cimport INT64_MAX, int64_t, uint16_t, uint32_t, uint64_t

from ipam_core._arguments cimport MOST_SECONDS, checked_int, clock_ns, time_ns
from ipam_core._attached cimport attach
from ipam_core._bits cimport bit, last_set, popcount
from ipam_core._enis cimport assignment_of, eni_of, number_of
from ipam_core._pods cimport own, reserve
from ipam_core._pool cimport (
    ARBITRARY,
    Place,
    pool_cool,
    pool_drop,
    pool_hold,
    pool_ranked,
    pool_record_at,
    pool_record_for,
    pool_settle,
    pool_take,
)
from ipam_core._records cimport Record, table_seek, table_seek_end, table_tag
from ipam_core._shared cimport Shared
from ipam_core._slots cimport (
    COOLING,
    FREE,
    HELD,
    IPV6_PREFIX,
    NONE,
    N_CELLS,
    N_KINDS,
    PER_CELL,
    PREFIX,
    SECONDARY_IP,
    EniState,
    slot_base,
    slot_extent,
    slot_size,
)
from ipam_core._values cimport Assignment, Sandbox, spare_one

from ipam_core._snapshot import sandbox_named, seal

cdef extern from "Python.h":
    int PyGC_Disable()
    int PyGC_Enable()


cdef int read_reach(object reach) except -1:
    """Return how many seats a map of a snapshot has."""
    if reach not in (8, 16, 32, 64):
        raise ValueError(f"a map of {reach} seats")
    return reach


cdef bytes store_snapshot(Shared store):
    """Return the complete state as bytes, cooldowns included; `restore` reads it."""
    return seal(state_of(store))


cdef dict state_of(Shared store):
    """Return the complete state, cooldowns included."""
    cdef bint collecting = PyGC_Disable()    # a collection could run code that changes it
    cdef int rank
    try:
        store.wait()
        return {
            "mode": store.mode,
            "placement": store.placement,
            "cooldown_ns": store.pool.cooldown_ns,
            "given_time": store.given_time,
            "random": store.pool.random,
            "enis": [[eni_of(store, store.pool.order[rank]), dump_slots(store, rank)]
                     for rank in range(store.pool.n_enis)],
            "maps": [store.pool.reach, [[pool_ranked(&store.pool, rank).seat,
                                         pool_ranked(&store.pool, rank).reach]
                                        for rank in range(store.pool.n_enis)]],
        }
    finally:
        if collecting:
            PyGC_Enable()


cdef list dump_slots(Shared store, int rank):
    """Return an ENI's slots: kind, slot, first address, and the addresses ever used."""
    cdef EniState *eni = pool_ranked(&store.pool, rank)
    cdef Place place = Place(store.pool.order[rank], 0, 0, 0)
    cdef uint64_t high, low
    cdef list slots = [], uses
    for place.kind in range(N_KINDS):
        for place.slot in range(64):
            if eni.groups[place.kind].attached & bit(place.slot):
                uses = []
                for place.offset in range(slot_extent(eni, place.kind, place.slot)):
                    if pool_record_at(&store.pool, place) != NONE:
                        uses.append(dump_use(store, place))
                slot_base(eni, place.kind, place.slot, &high, &low)
                slots.append([place.kind, place.slot, high, low, uses])
    return slots


cdef list dump_use(Shared store, Place place):
    cdef uint32_t number = pool_record_at(&store.pool, place)
    cdef Record *record = &store.pool.records.array[number]
    cdef Assignment held
    cdef object sandbox = None, pod = None
    if record.state == HELD:
        held = assignment_of(store, number)
        sandbox, pod = held.sandbox, held.pod
    return [place.offset, record.state, record.assigned_ns, record.released_ns, sandbox, pod]


cdef int64_t TICK_NS = 10_000_000    # of the coarse clock, at most


cdef int load_state(Shared store, object state) except -1:
    """Fill a new store with the state of a snapshot. Raises where it cannot be one."""
    store.pool.cooldown_ns = checked_int(
        state["cooldown_ns"], 0, <int64_t> MOST_SECONDS * 1_000_000_000, "cooldown_ns")
    for fields, slots in state["enis"]:
        fields["created_ns"] = past_ns(store, fields["created_ns"])
        (<object> store).add_eni(**fields)
        for kind, slot, high, low, uses in slots:
            load_slot(store, fields["eni_id"], kind, slot, high, low, uses)
    load_maps(store, state.get("maps"))
    store.pool.random = state["random"]
    return 0


cdef int load_maps(Shared store, object maps) except -1:
    """Seat the ENIs as they were; a snapshot of an older version has no seats."""
    cdef EniState *eni
    cdef uint64_t slots, taken = 0
    cdef int rank
    if store.pool.placement != ARBITRARY:
        return 0
    if maps is not None:
        reach, enis = maps
        store.pool.reach = max(read_reach(reach), store.pool.reach)
        if len(enis) != store.pool.n_enis:
            raise ValueError(f"{len(enis)} seats of {store.pool.n_enis} ENIs")
        for rank, (seat, eni_reach) in enumerate(enis):
            eni = pool_ranked(&store.pool, rank)
            eni.seat = checked_int(seat, 0, store.pool.reach - 1, "seat")
            eni.reach = read_reach(eni_reach)
            taken |= bit(eni.seat)
        if popcount(taken) != store.pool.n_enis:
            raise ValueError(f"two ENIs on a seat: {enis}")
    for rank in range(store.pool.n_enis):
        eni = pool_ranked(&store.pool, rank)
        slots = eni.groups[SECONDARY_IP].attached | eni.groups[PREFIX].attached
        while slots and eni.reach <= last_set(slots):
            eni.reach *= 2
    pool_settle(&store.pool)
    return 0


cdef int load_slot(Shared store, str eni_id, int kind, int slot, uint64_t high, uint64_t low,
                   list uses) except -1:
    cdef Place place = Place(number_of(store, eni_id), kind, slot, 0)
    cdef uint64_t beneath = 0
    if not (0 <= kind < N_KINDS and 0 <= slot < 64):
        raise ValueError(f"slot {slot} of kind {kind}")
    if kind != SECONDARY_IP:
        beneath = <uint64_t> slot_size(kind) - 1
    if low & beneath or (kind != IPV6_PREFIX and (high or low >> 32)):
        raise ValueError(f"address {high:x} {low:x} of kind {kind}")
    attach(store, eni_id, kind, high, low, f"{high:x} {low:x}", slot)
    for offset, state, assigned_ns, released_ns, sandbox, pod in uses:
        place.offset = offset
        if place.offset >= (1 if kind == SECONDARY_IP else PER_CELL if kind == PREFIX
                            else N_CELLS * PER_CELL):
            raise ValueError(f"offset {offset} in a slot of kind {kind}")
        load_use(store, place, state, past_ns(store, assigned_ns), past_ns(store, released_ns),
                 None if sandbox is None else sandbox_named(sandbox), pod)
    return 0


cdef int64_t past_ns(Shared store, object given_ns) except? -1:
    """Return a time of a snapshot; a time ahead of the clock becomes now.

    A caller's own clock may be ahead of the coarse one by the time between its ticks.
    """
    cdef int64_t any_time = INT64_MAX, then = time_ns(given_ns, &any_time, "time")
    cdef int64_t now = clock_ns()
    return then if store.latest_ns == INT64_MAX or then - now <= TICK_NS else now


cdef int load_use(Shared store, Place place, int state, int64_t assigned_ns,
                  int64_t released_ns, Sandbox sandbox, str pod) except -1:
    cdef uint32_t number, position, tag
    if state not in (FREE, HELD, COOLING) or (state == HELD) != (sandbox is not None) or (
            pool_record_at(&store.pool, place) != NONE):
        raise ValueError(f"state {state} of an address")
    reserve(store, place)
    if state == HELD:
        spare_one()
        position = table_seek_end(
            &store.pool.records, table_seek(&store.pool.records, sandbox.c_digest))
        tag = table_tag(&store.pool.records, sandbox.c_digest)
        number = pool_hold(&store.pool, place, position, tag, sandbox.c_digest, assigned_ns)
        own(store, number, sandbox, pod)
    else:
        number = pool_record_for(&store.pool, place)
        pool_take(&store.pool, place, <uint16_t> bit(place.offset % PER_CELL))
        store.pool.records.array[number].assigned_ns = assigned_ns
        if state == COOLING:
            pool_cool(&store.pool, number, released_ns)
        else:
            pool_drop(&store.pool, number, released_ns)
    return 0
