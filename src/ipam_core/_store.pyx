"""The DataStore (docs/core.md has its layout and the cost of each operation).

Its base classes are its parts: `Shared` has the lock and the clock, `Enis` and `Attached`
what is attached, `Pods` and `Batches` who holds what, `Saved` the whole state as bytes.
Here are the questions that the rules of the pool ask.
"""

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from ipam_core._arguments cimport MOST_SECONDS, checked_int, most_ns, time_ns
from ipam_core._bits cimport bit, first_set, last_set, popcount
from ipam_core._invariants cimport check_invariants
from ipam_core._pool cimport (
    ARBITRARY,
    N_ENIS,
    pool_counts,
    pool_expire,
    pool_ranked,
    pool_seated,
)
from ipam_core._records cimport cooling_oldest
from ipam_core._slots cimport (
    COOLING,
    HELD,
    NONE,
    N_KINDS,
    N_SLOTS,
    PER_CELL,
    PREFIX,
    SECONDARY_IP,
    EniState,
    eni_n_slots,
    slot_count,
    slot_room,
    slot_size,
)
from ipam_core._text cimport plain_text
from ipam_core._values cimport EniStats, FreeEniAnswer, PoolStats
from ipam_core._walk cimport walk_first

import ipam_core._values as values
from ipam_core._snapshot import unseal
from ipam_core.errors import IpamError, SnapshotError

# A cimported type is not an attribute of the module by itself.
globals().update({name: getattr(values, name) for name in values.__all__})


cdef inline int64_t eni_total(const EniState *eni, int kind) noexcept:
    """Return how many addresses of a kind an ENI has."""
    return slot_size(kind) * popcount(eni.groups[kind].attached)


cdef inline int64_t eni_idle(const EniState *eni) noexcept:
    """Return how many free prefixes an ENI counts: a secondary IP without a pod is one, too."""
    return popcount(eni.groups[SECONDARY_IP].idle) + popcount(eni.groups[PREFIX].idle)


cdef str why_kept(const EniState *eni, int64_t born_by):
    """Return why an ENI cannot be freed under any targets, None if it can."""
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
cdef class DataStore(Saved):
    """One network card's ENIs, their addresses, and the sandboxes that hold them.

    `mode` says which kinds are assigned from and counted: "secondary-ip", "prefix", "mixed"
    (both; prefixes first) or "ipv6"; attached addresses of another kind drain. A released
    address cools for `cooldown_s` seconds and is assigned again only after a longer time.
    `placement` chooses the address: "pack" (lowest device number, there the fullest prefix,
    there the lowest address), "first" (lowest device number, slot and address), "spread" (the
    ENI with most free, there as "first") or "arbitrary" (as the real agent, whose walks over
    Go's maps favour some ENIs and slots; by `seed`; in a prefix one that has cooled before the
    lowest never used; pool-rules sections 3 and 9).

    `now_ns` is monotonic nanoseconds, and may be left out of every call: the coarse
    monotonic clock is read then. A time more than a minute ahead of that clock raises
    `ValueError`: it is of another clock, and an address released then would cool for years.
    With `given_time` any time is accepted, for simulations. Time must not go back: an address
    that has cooled stays free. All calls may come from several threads. A call that raises
    leaves the store as it was, except that addresses whose cooldown is over become free. In a
    process forked in the middle of a batch every call raises `ForkedError`.
    """

    # --- questions ----------------------------------------------------------------------

    def stats(self, now_ns=None, network_card=None):
        """Return the counts of all ENIs, or of one network card's. Cost: O(ENIs)."""
        cdef int64_t now = time_ns(now_ns, &self.latest_ns, "now_ns")
        cdef int card = -1
        if network_card is not None:
            card = checked_int(network_card, 0, 0x7FFF_FFFF, "network_card")
        self.wait()
        return self.count(now, card)

    def eni_stats(self, eni_id, now_ns=None):
        """Return one ENI's counts, excluded or not. Raises `UnknownEniError`. Cost: constant."""
        cdef int64_t now = time_ns(now_ns, &self.latest_ns, "now_ns")
        cdef str name = plain_text(eni_id, "eni_id")
        cdef EniStats value = EniStats.__new__(EniStats)
        cdef EniState *eni
        cdef int number, kind
        self.wait()
        number = self.number_of(name)
        eni = self.pool.enis[number]
        pool_expire(&self.pool, now)
        value.eni = self.eni_of(number)
        value.addresses = popcount(eni.groups[SECONDARY_IP].attached)
        for kind in range(N_KINDS):
            if kind != SECONDARY_IP:
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
        """Return when the next cooldown is over, None if nothing cools. Cost: constant."""
        cdef int64_t now = time_ns(now_ns, &self.latest_ns, "now_ns")
        cdef uint32_t number
        self.wait()
        pool_expire(&self.pool, now)
        number = cooling_oldest(&self.pool.records)
        if number == NONE:
            return None
        return self.pool.records.array[number].released_ns + self.pool.cooldown_ns + 1

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

        In prefix mode the first two are rounded up to full prefixes, and only there does
        `warm_prefix` count: each prefix or secondary IP without a pod on the other ENIs that
        are not excluded meets one; targets of 0 and below ask for nothing. The answer is the
        first candidate of a walk under `arbitrary` (see `turns`), else the one with the
        highest device number. Cost: O(ENIs). Source: pool-rules section 5.3; getDeletableENI
        of pkg/ipamd/datastore/data_store.go.
        """
        cdef int64_t now = time_ns(now_ns, &self.latest_ns, "now_ns"), born_by
        cdef int64_t need_free = checked_int(warm_ip, -most_ns(), most_ns(), "warm_ip")
        cdef int64_t need_total = checked_int(minimum_ip, -most_ns(), most_ns(), "minimum_ip")
        cdef int64_t need_idle = checked_int(warm_prefix, -most_ns(), most_ns(), "warm_prefix")
        cdef int64_t free, total, idle = 0
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
            if not eni.excluded:
                idle += eni_idle(eni)
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
            if why is None and need_idle > 0 and need_idle > idle - (
                    0 if eni.excluded else eni_idle(eni)):
                why = "needed for WARM_PREFIX_TARGET"
            if why is None:
                freeable |= bit(eni.seat)
                candidates.append(<str> eni.eni_id)
            else:
                reasons[<str> eni.eni_id] = why
        if freeable:
            chance = self.pool.random  # a question changes nothing: `remove_eni` draws
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

        cdef int64_t now = time_ns(now_ns, &self.latest_ns, "now_ns")
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

        cdef int64_t now = time_ns(now_ns, &self.latest_ns, "now_ns")
        cdef int64_t[::1] ages
        cdef uint32_t number, n = 0
        cdef object found = None
        while found is None or len(found) != self.pool.records.n_in_table:
            found = np.empty(self.pool.records.n_in_table, dtype=np.int64)
            ages = found
            self.wait()
        for number in range(self.pool.records.n_records):
            if self.pool.records.array[number].state == HELD:
                ages[n] = now - self.pool.records.array[number].assigned_ns
                n += 1
        return found

    # --- the complete state -------------------------------------------------------------

    @classmethod
    def restore(cls, bytes snapshot not None):
        """Return the store of a snapshot.

        Times that are ahead of the monotonic clock, as after a restart of the machine, count
        as now: nothing cools for more than a full period. In a store of `given_time`, and if
        the snapshot does not say, they stay. Raises `SnapshotError` if it is no snapshot, is
        damaged, or is of another version.
        """
        cdef DataStore store
        state = unseal(snapshot)
        try:
            store = DataStore(state["mode"], placement=state["placement"],
                              given_time=state.get("given_time", True))
            store.pool.cooldown_ns = checked_int(
                state["cooldown_ns"], 0, <int64_t> MOST_SECONDS * 1_000_000_000, "cooldown_ns")
            for fields, slots in state["enis"]:
                fields["created_ns"] = store.past_ns(fields["created_ns"])
                store.add_eni(**fields)
                for kind, slot, high, low, uses in slots:
                    store.load_slot(fields["eni_id"], kind, slot, high, low, uses)
            store.load_maps(state.get("maps"))
            store.pool.random = state["random"]
        except (KeyError, TypeError, ValueError, OverflowError, IpamError) as error:
            raise SnapshotError(f"the snapshot does not hold a store: {error}") from error
        return store

    def _check(self):
        """Check every invariant from scratch; `AssertionError` names the one that is broken."""
        self.wait()
        for rank in range(self.pool.n_enis):
            number = self.pool.order[rank]
            if self._numbers[<str> self.pool.enis[number].eni_id] != number:
                raise AssertionError("an ENI is found by its id")
        if len(self._numbers) != self.pool.n_enis:
            raise AssertionError("every id is of an ENI")
        check_invariants(&self.pool)
