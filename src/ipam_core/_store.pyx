"""The DataStore (docs/core.md has its layout and the cost of each operation).

Its base classes are its parts: `Enis` has what is attached, `Pods` who holds what. Here
are the questions that the rules of the pool ask, and the whole state as bytes.
"""

cimport cython
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from ipam_core._arguments cimport MOST_SECONDS, most_ns, read_now, within
from ipam_core._bits cimport bit, first_set, last_set, popcount
from ipam_core._ledger cimport Record, ledger_at, ledger_seek
from ipam_core._pool cimport (
    ARBITRARY,
    N_ENIS,
    Place,
    pool_cool,
    pool_counts,
    pool_expire,
    pool_hold,
    pool_open,
    pool_ranked,
    pool_record_at,
    pool_record_for,
    pool_seated,
    pool_settle,
    pool_take,
)
from ipam_core._proof cimport prove
from ipam_core._slots cimport (
    COOLING,
    FREE,
    HELD,
    LONE,
    NONE,
    N_CELLS,
    N_KINDS,
    N_SLOTS,
    PER_CELL,
    PREFIX,
    WIDE,
    EniState,
    eni_n_slots,
    slot_base,
    slot_count,
    slot_extent,
    slot_room,
    slot_size,
)
from ipam_core._values cimport Assignment, EniStats, FreeEniAnswer, PoolStats, Sandbox
from ipam_core._walk cimport walk_first

import ipam_core._values as values
from ipam_core._snapshot import sandbox_named, seal, unseal
from ipam_core.errors import IpamError, SnapshotError

cdef extern from "Python.h":
    int PyGC_Disable()
    int PyGC_Enable()

# A cimported type is no attribute of the module by itself.
globals().update({name: getattr(values, name) for name in values.__all__})


cdef inline int64_t eni_total(const EniState *eni, int kind) noexcept:
    """Return how many addresses of a kind an ENI has."""
    return slot_size(kind) * popcount(eni.groups[kind].attached)


cdef int read_reach(object reach) except -1:
    """Return how many seats a map has that a snapshot tells of."""
    if reach not in (8, 16, 32, 64):
        raise ValueError(f"a map of {reach} seats")
    return reach


cdef str why_kept(const EniState *eni, int64_t born_by):
    """Return why an ENI cannot be freed whatever the targets, None where it can."""
    cdef int kind
    if eni.primary:
        return "primary"
    if eni.trunk:
        return "trunk"
    if eni.efa:
        return "efa"
    if eni.created_ns > born_by:
        return "too young"
    for kind in range(N_KINDS):
        if eni.groups[kind].n_held:
            return "has pods"
    for kind in range(N_KINDS):
        if eni.groups[kind].n_cooling:
            return "cooling"
    return None


@cython.final
cdef class DataStore(Pods):
    """One network card's ENIs, their addresses, and the sandboxes that hold them.

    `mode` says which kinds are assigned from and counted: "secondary-ip", "prefix",
    "mixed" (both; prefixes first) or "ipv6"; what is attached of another kind drains.
    A released address cools for `cooldown_s` seconds and is assigned again only when
    more has passed. `placement` chooses the address: "pack" (lowest device number,
    there the fullest prefix, there the lowest address), "first" (lowest device number,
    slot and address), "spread" (the ENI with most free, there as "first") or
    "arbitrary" (as the real agent, whose walks over Go's maps favour some ENIs and slots;
    by `seed`; in a prefix one that has cooled before the lowest never used; pool-rules
    sections 3 and 9).

    `now_ns` is monotonic nanoseconds, and may be left out of every call: the coarse
    monotonic clock is read then. Time must not go back: what has cooled stays so. All
    calls may come from several threads. A call that raises leaves the store as it was,
    but that cooldowns over by now are seen to be over.
    """

    # --- questions ----------------------------------------------------------------------

    def stats(self, now_ns=None, network_card=None):
        """Return the counts of all ENIs, or of one network card's. Cost: O(ENIs)."""
        cdef int64_t now = read_now(now_ns)
        cdef int card = -1
        if network_card is not None:
            card = within(network_card, 0, 0x7FFF_FFFF, "network_card")
        self.wait()
        return self.count(now, card)

    def eni_stats(self, str eni_id not None, now_ns=None):
        """Return one ENI's counts, excluded or not. Raises `UnknownEniError`. Cost: constant."""
        cdef int64_t now = read_now(now_ns)
        cdef EniStats value = EniStats.__new__(EniStats)
        cdef EniState *eni
        cdef int number, kind
        self.wait()
        number = self.number_of(eni_id)
        eni = self.pool.enis[number]
        pool_expire(&self.pool, now)
        value.eni = self.eni_of(number)
        value.addresses = popcount(eni.groups[LONE].attached)
        for kind in range(N_KINDS):
            if kind != LONE:
                value.prefixes += popcount(eni.groups[kind].attached)
                value.free_prefixes += popcount(eni.groups[kind].idle)
            if pool_counts(&self.pool, kind):
                value.total += eni_total(eni, kind)
                value.assigned += eni.groups[kind].n_held
                value.cooling += eni.groups[kind].n_cooling
            value.assigned_any += eni.groups[kind].n_held
            value.cooling_any += eni.groups[kind].n_cooling
        value.slots_used = value.addresses + value.prefixes
        return value

    def next_cool_ns(self, now_ns=None):
        """Return when the next cooldown is over, None where nothing cools. Cost: constant."""
        cdef int64_t now = read_now(now_ns)
        self.wait()
        pool_expire(&self.pool, now)
        if self.pool.ledger.oldest == NONE:
            return None
        return (self.pool.ledger.records[self.pool.ledger.oldest].released_ns
                + self.pool.cooldown_ns + 1)

    def growable_enis(self, int max_slots):
        """Return the ENIs, not excluded, with fewer than `max_slots` slots in use."""
        cdef list found = []
        cdef EniState *eni
        cdef int rank
        self.wait()
        for rank in range(self.pool.n_enis):
            eni = pool_ranked(&self.pool, rank)
            if not eni.excluded and eni_n_slots(eni) < max_slots:
                found.append(<str> eni.eni_id)
        return found

    def find_freeable_eni(self, *, warm_ip, minimum_ip, warm_prefix, double min_age_s=60,
                          now_ns=None):
        """Find an ENI that can be freed under these targets, and why each other cannot.

        In prefix mode the first two are rounded up to whole prefixes, and only there does
        `warm_prefix` count; targets of 0 and below ask for nothing. The answer is the first
        candidate of a walk under `arbitrary` (see `turns`), else the one with the highest
        device number. Cost: O(ENIs). Source: pool-rules section 5.3; getDeletableENI of
        pkg/ipamd/datastore/data_store.go.
        """
        cdef int64_t now = read_now(now_ns), born_by
        cdef int64_t need_free = within(warm_ip, -most_ns(), most_ns(), "warm_ip")
        cdef int64_t need_total = within(minimum_ip, -most_ns(), most_ns(), "minimum_ip")
        cdef int64_t need_idle = within(warm_prefix, -most_ns(), most_ns(), "warm_prefix")
        cdef int64_t free, total
        cdef PoolStats stats
        cdef FreeEniAnswer answer = FreeEniAnswer.__new__(FreeEniAnswer)
        cdef EniState *eni
        cdef list candidates = []
        cdef dict reasons = {}
        cdef str why
        cdef int rank, kind, seat
        cdef uint64_t freeable = 0, chance
        if not 0 <= min_age_s <= MOST_SECONDS:
            raise ValueError(f"min_age_s {min_age_s}: from 0 to {MOST_SECONDS}")
        born_by = now - <int64_t> (min_age_s * 1e9)
        self.wait()
        if self.pool.kinds == 1 << PREFIX:
            need_free = (need_free + PER_CELL - 1) // PER_CELL * PER_CELL
            need_total = (need_total + PER_CELL - 1) // PER_CELL * PER_CELL
        else:
            need_idle = 0
        stats = self.count(now, -1)
        for rank in range(self.pool.n_enis):
            eni = pool_ranked(&self.pool, rank)
            free, total = stats.total - stats.assigned, stats.total
            for kind in range(N_KINDS):
                if not eni.excluded and pool_counts(&self.pool, kind):
                    free -= eni_total(eni, kind)
                    total -= eni_total(eni, kind)
            why = why_kept(eni, born_by)
            if why is None and need_free > 0 and free < need_free:
                why = "needed for WARM_IP_TARGET"
            if why is None and need_total > 0 and total < need_total:
                why = "needed for MINIMUM_IP_TARGET"
            if why is None and need_idle > 0 and need_idle > (
                    stats.free_prefixes - popcount(eni.groups[PREFIX].idle)
                    - popcount(eni.groups[WIDE].idle)):
                why = "needed for WARM_PREFIX_TARGET"
            if why is None:
                freeable |= bit(eni.seat)
                candidates.append(<str> eni.eni_id)
            else:
                reasons[<str> eni.eni_id] = why
        if freeable:
            chance = self.pool.random  # a question draws nothing: `remove_eni` moves on
            seat = (walk_first(freeable, self.pool.reach, &chance)
                    if self.pool.placement == ARBITRARY else last_set(freeable))
            answer.eni_id = <str> pool_seated(&self.pool, seat).eni_id
        answer.candidates, answer.reasons = tuple(candidates), reasons
        return answer

    def free_counts(self, now_ns=None):
        """Return how many addresses each slot of the mode's own kinds can give now.

        uint32, by ENI (lowest device number first), then as `addresses` and `prefixes`
        list them. Cost: O(slots).
        """
        import numpy as np

        cdef int64_t now = read_now(now_ns)
        cdef uint32_t[::1] counts = np.empty(N_ENIS * N_SLOTS, dtype=np.uint32)
        cdef EniState *eni
        cdef uint64_t slots
        cdef int rank, kind, slot, n = 0
        self.wait()
        pool_expire(&self.pool, now)
        for rank in range(self.pool.n_enis):
            eni = pool_ranked(&self.pool, rank)
            for kind in range(N_KINDS):
                slots = eni.groups[kind].attached if pool_counts(&self.pool, kind) else 0
                while slots:
                    slot = first_set(slots)
                    slots &= slots - 1
                    counts[n] = 0 if eni.excluded else (
                        slot_room(kind) - slot_count(eni, kind, slot, HELD)
                        - slot_count(eni, kind, slot, COOLING))
                    n += 1
        return np.array(counts[:n])

    def assignment_ages_ns(self, now_ns=None):
        """Return how long ago each assignment was made, int64, in the order of `assignments`.

        Cost: O(records).
        """
        import numpy as np

        cdef int64_t now = read_now(now_ns)
        cdef int64_t[::1] ages
        cdef uint32_t number, n = 0
        cdef object found = None
        while found is None or len(found) != self.pool.ledger.n_hung:
            found = np.empty(self.pool.ledger.n_hung, dtype=np.int64)
            ages = found
            self.wait()
        for number in range(self.pool.ledger.n_records):
            if self.pool.ledger.records[number].state == HELD:
                ages[n] = now - self.pool.ledger.records[number].assigned_ns
                n += 1
        return found

    # --- the whole state ----------------------------------------------------------------

    def snapshot(self):
        """Return the whole state as bytes, cooldowns included; `restore` reads it.

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
        cdef Record *record = &self.pool.ledger.records[number]
        cdef Assignment held
        cdef object sandbox = None, pod = None
        if record.state == HELD:
            held = self.assignment_of(number)
            sandbox, pod = held.sandbox, held.pod
        return [place.offset, record.state, record.assigned_ns, record.released_ns, sandbox, pod]

    @classmethod
    def restore(cls, bytes snapshot not None):
        """Return the store that a snapshot was taken of.

        Raises `SnapshotError` where it is none, is damaged, or is of another version.
        """
        cdef DataStore store
        state = unseal(snapshot)
        try:
            store = DataStore(state["mode"], placement=state["placement"])
            store.pool.cooldown_ns = within(
                state["cooldown_ns"], 0, <int64_t> MOST_SECONDS * 1_000_000_000, "cooldown_ns")
            for fields, slots in state["enis"]:
                store.add_eni(**fields)
                for kind, slot, high, low, uses in slots:
                    store.load_slot(fields["eni_id"], kind, slot, high, low, uses)
            store.load_maps(state.get("maps"))
            store.pool.random = state["random"]
        except (KeyError, TypeError, ValueError, OverflowError, IpamError) as error:
            raise SnapshotError(f"the snapshot does not hold a store: {error}") from error
        return store

    cdef int load_maps(self, object maps) except -1:
        """Seat the ENIs as they were; a snapshot of an older version does not say how."""
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
                eni.seat = within(seat, 0, self.pool.reach - 1, "seat")
                eni.reach = read_reach(eni_reach)
                taken |= bit(eni.seat)
            if popcount(taken) != self.pool.n_enis:
                raise ValueError(f"two ENIs on a seat: {enis}")
        for rank in range(self.pool.n_enis):
            eni = pool_ranked(&self.pool, rank)
            slots = eni.groups[LONE].attached | eni.groups[PREFIX].attached
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
        if kind != LONE:
            beneath = <uint64_t> slot_size(kind) - 1
        if low & beneath or (kind != WIDE and (high or low >> 32)):
            raise ValueError(f"address {high:x} {low:x} of kind {kind}")
        self.attach(eni_id, kind, high, low, f"{high:x} {low:x}", slot)
        for offset, state, assigned_ns, released_ns, sandbox, pod in uses:
            place.offset = offset
            if place.offset >= (1 if kind == LONE else PER_CELL if kind == PREFIX
                                else N_CELLS * PER_CELL):
                raise ValueError(f"offset {offset} in a slot of kind {kind}")
            self.load_use(place, state, read_now(assigned_ns), read_now(released_ns),
                          None if sandbox is None else sandbox_named(sandbox), pod)
        return 0

    cdef int load_use(self, Place place, int state, int64_t assigned_ns, int64_t released_ns,
                      Sandbox sandbox, str pod) except -1:
        cdef uint32_t number, position
        if state not in (FREE, HELD, COOLING) or (state == HELD) != (sandbox is not None) or (
                pool_record_at(&self.pool, place) != NONE):
            raise ValueError(f"state {state} of an address")
        self.reserve(place)
        if state == HELD:
            position = ledger_seek(&self.pool.ledger, sandbox.c_digest)
            if ledger_at(&self.pool.ledger, position) != NONE:
                raise ValueError(f"two addresses of {sandbox!r}")
            number = pool_hold(&self.pool, place, position, sandbox.c_digest, assigned_ns)
            self.own(number, Assignment.__new__(Assignment), sandbox, pod)
        else:
            number = pool_record_for(&self.pool, place)
            pool_take(&self.pool, place, <uint16_t> bit(place.offset % PER_CELL))
            pool_cool(&self.pool, number, released_ns)
            self.pool.ledger.records[number].assigned_ns = assigned_ns
        if state == FREE:
            pool_open(&self.pool, number)
        return 0

    def _check(self):
        """Prove every invariant from scratch; `AssertionError` names what does not hold."""
        self.wait()
        for rank in range(self.pool.n_enis):
            number = self.pool.order[rank]
            if self._numbers[<str> self.pool.enis[number].eni_id] != number:
                raise AssertionError("an ENI is found by its id")
        if len(self._numbers) != self.pool.n_enis:
            raise AssertionError("every id is of an ENI")
        prove(&self.pool)
