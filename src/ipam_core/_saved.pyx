"""The complete state of a store to a snapshot and back, slot by slot."""

from libc.stdint cimport INT64_MAX, int64_t, uint16_t, uint32_t, uint64_t

from ipam_core._arguments cimport checked_int, clock_ns, time_ns
from ipam_core._bits cimport bit, last_set, popcount
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
from ipam_core._records cimport Record, table_seek, table_seek_end
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
from ipam_core._values cimport Assignment, Sandbox

from ipam_core._snapshot import sandbox_named, seal

cdef extern from "Python.h":
    int PyGC_Disable()
    int PyGC_Enable()


cdef int read_reach(object reach) except -1:
    """Return how many seats a map of a snapshot has."""
    if reach not in (8, 16, 32, 64):
        raise ValueError(f"a map of {reach} seats")
    return reach


cdef class Saved(Batches):
    """A store that can be saved."""

    def snapshot(self):
        """Return the complete state as bytes, cooldowns included; `restore` reads it.

        Times are kept as they are, on the monotonic clock. Cost: one pass.
        """
        cdef bint collecting = PyGC_Disable()    # a collection could run code that changes it
        cdef int rank
        try:
            self.wait()
            state = {
                "mode": self.mode,
                "placement": self.placement,
                "cooldown_ns": self.pool.cooldown_ns,
                "given_time": self.given_time,
                "random": self.pool.random,
                "enis": [[self.eni_of(self.pool.order[rank]), self.dump_slots(rank)]
                         for rank in range(self.pool.n_enis)],
                "maps": [self.pool.reach, [[pool_ranked(&self.pool, rank).seat,
                                            pool_ranked(&self.pool, rank).reach]
                                           for rank in range(self.pool.n_enis)]],
            }
        finally:
            if collecting:
                PyGC_Enable()
        return seal(state)

    cdef list dump_slots(self, int rank):
        """Return an ENI's slots: kind, slot, first address, and the addresses ever used."""
        cdef EniState *eni = pool_ranked(&self.pool, rank)
        cdef Place place = Place(self.pool.order[rank], 0, 0, 0)
        cdef uint64_t high, low
        cdef list slots = [], uses
        for place.kind in range(N_KINDS):
            for place.slot in range(64):
                if eni.groups[place.kind].attached & bit(place.slot):
                    uses = []
                    for place.offset in range(slot_extent(eni, place.kind, place.slot)):
                        if pool_record_at(&self.pool, place) != NONE:
                            uses.append(self.dump_use(place))
                    slot_base(eni, place.kind, place.slot, &high, &low)
                    slots.append([place.kind, place.slot, high, low, uses])
        return slots

    cdef list dump_use(self, Place place):
        cdef uint32_t number = pool_record_at(&self.pool, place)
        cdef Record *record = &self.pool.records.array[number]
        cdef Assignment held
        cdef object sandbox = None, pod = None
        if record.state == HELD:
            held = self.assignment_of(number)
            sandbox, pod = held.sandbox, held.pod
        return [place.offset, record.state, record.assigned_ns, record.released_ns, sandbox, pod]

    cdef int load_maps(self, object maps) except -1:
        """Seat the ENIs as they were; a snapshot of an older version has no seats."""
        cdef EniState *eni
        cdef uint64_t slots, taken = 0
        cdef int rank
        if self.pool.placement != ARBITRARY:
            return 0
        if maps is not None:
            reach, enis = maps
            self.pool.reach = max(read_reach(reach), self.pool.reach)
            if len(enis) != self.pool.n_enis:
                raise ValueError(f"{len(enis)} seats of {self.pool.n_enis} ENIs")
            for rank, (seat, eni_reach) in enumerate(enis):
                eni = pool_ranked(&self.pool, rank)
                eni.seat = checked_int(seat, 0, self.pool.reach - 1, "seat")
                eni.reach = read_reach(eni_reach)
                taken |= bit(eni.seat)
            if popcount(taken) != self.pool.n_enis:
                raise ValueError(f"two ENIs on a seat: {enis}")
        for rank in range(self.pool.n_enis):
            eni = pool_ranked(&self.pool, rank)
            slots = eni.groups[SECONDARY_IP].attached | eni.groups[PREFIX].attached
            while slots and eni.reach <= last_set(slots):
                eni.reach *= 2
        pool_settle(&self.pool)
        return 0

    cdef int load_slot(self, str eni_id, int kind, int slot, uint64_t high, uint64_t low,
                       list uses) except -1:
        cdef Place place = Place(self.number_of(eni_id), kind, slot, 0)
        cdef uint64_t beneath = 0
        if not (0 <= kind < N_KINDS and 0 <= slot < 64):
            raise ValueError(f"slot {slot} of kind {kind}")
        if kind != SECONDARY_IP:
            beneath = <uint64_t> slot_size(kind) - 1
        if low & beneath or (kind != IPV6_PREFIX and (high or low >> 32)):
            raise ValueError(f"address {high:x} {low:x} of kind {kind}")
        self.attach(eni_id, kind, high, low, f"{high:x} {low:x}", slot)
        for offset, state, assigned_ns, released_ns, sandbox, pod in uses:
            place.offset = offset
            if place.offset >= (1 if kind == SECONDARY_IP else PER_CELL if kind == PREFIX
                                else N_CELLS * PER_CELL):
                raise ValueError(f"offset {offset} in a slot of kind {kind}")
            self.load_use(place, state, self.past_ns(assigned_ns), self.past_ns(released_ns),
                          None if sandbox is None else sandbox_named(sandbox), pod)
        return 0

    cdef int64_t past_ns(self, object given_ns) except? -1:
        """Return a time of a snapshot; a time ahead of the clock becomes now."""
        cdef int64_t any_time = INT64_MAX, then = time_ns(given_ns, &any_time, "time")
        return then if self.latest_ns == INT64_MAX else min(then, clock_ns())

    cdef int load_use(self, Place place, int state, int64_t assigned_ns, int64_t released_ns,
                      Sandbox sandbox, str pod) except -1:
        cdef uint32_t number, position
        if state not in (FREE, HELD, COOLING) or (state == HELD) != (sandbox is not None) or (
                pool_record_at(&self.pool, place) != NONE):
            raise ValueError(f"state {state} of an address")
        self.reserve(place)
        if state == HELD:
            position = table_seek_end(
                &self.pool.records, table_seek(&self.pool.records, sandbox.c_digest))
            number = pool_hold(&self.pool, place, position, sandbox.c_digest, assigned_ns)
            self.own(number, Assignment.__new__(Assignment), sandbox, pod)
        else:
            number = pool_record_for(&self.pool, place)
            pool_take(&self.pool, place, <uint16_t> bit(place.offset % PER_CELL))
            self.pool.records.array[number].assigned_ns = assigned_ns
            if state == COOLING:
                pool_cool(&self.pool, number, released_ns)
            else:
                pool_drop(&self.pool, number, released_ns)
        return 0
