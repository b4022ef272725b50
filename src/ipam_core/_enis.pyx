"""ENIs: the part of the DataStore for the list of ENIs and the values of their records."""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint32_t, uint64_t

from ipam_core._arguments cimport checked_int, time_ns
from ipam_core._bits cimport bit, first_set
from ipam_core._pool cimport (
    ARBITRARY,
    N_ENIS,
    Place,
    pool_add,
    pool_address,
    pool_empty_slot,
    pool_record_at,
    pool_refresh,
    pool_remove,
    pool_seated,
)
from ipam_core._records cimport Record
from ipam_core._seats cimport seat_eni, seats_taken
from ipam_core._slots cimport HELD, NONE, N_KINDS, EniState, eni_free, slot_extent
from ipam_core._text cimport plain_text
from ipam_core._values cimport Assignment, Eni, sandbox_of
from ipam_core._walk cimport GROUP, random_below, walk_list, walk_reach, walk_seat

from ipam_core.errors import AddressInUseError, CapacityError, DuplicateError, UnknownEniError


cdef class Enis(Shared):
    """The ENIs of a store."""

    def add_eni(self, eni_id, *, device_number, network_card=0,
                bint primary=False, bint trunk=False, bint efa=False, bint excluded=False,
                created_ns=None, subnet_id="", route_table=0):
        """Add an ENI without addresses.

        `created_ns` is when it came, on the monotonic clock; `find_freeable_eni` uses it. An
        `excluded` ENI gives no address and counts in no address statistic.

        Raises `DuplicateError`; beyond 64 ENIs `CapacityError`. Cost: O(ENIs).
        """
        cdef int device = checked_int(device_number, 0, 0x7FFF_FFFF, "device_number")
        cdef int card = checked_int(network_card, 0, 0x7FFF_FFFF, "network_card")
        cdef int route = checked_int(route_table, 0, 0x7FFF_FFFF, "route_table")
        cdef int64_t created = time_ns(created_ns, &self.latest_ns, "created_ns")
        cdef str name = plain_text(eni_id, "eni_id"), subnet = plain_text(subnet_id, "subnet_id")
        cdef EniState *eni
        self.wait()
        if name in self._numbers:
            raise DuplicateError("ENI", name)
        if self.pool.n_enis == N_ENIS:
            raise CapacityError("ENIs of a store", N_ENIS)
        eni = <EniState*> PyMem_RawCalloc(1, sizeof(EniState))
        if eni == NULL:
            raise MemoryError
        eni.eni_id, eni.subnet_id = <PyObject*> name, <PyObject*> subnet
        eni.device_number, eni.network_card, eni.route_table = device, card, route
        eni.created_ns = created
        eni.primary, eni.trunk, eni.efa, eni.excluded = primary, trunk, efa, excluded
        eni.reach = GROUP
        try:
            self._numbers[name] = None
        except MemoryError:
            PyMem_RawFree(eni)
            raise
        Py_INCREF(name)
        Py_INCREF(subnet)
        if self.pool.placement == ARBITRARY:
            seat_eni(&self.pool, eni)
        self._numbers[name] = pool_add(&self.pool, eni)

    def remove_eni(self, eni_id, *, bint force=False):
        """Remove an ENI and all its addresses; return the assignments that were lost with it.

        Raises `UnknownEniError`; without `force` `AddressInUseError` if sandboxes hold
        addresses of it. Cost: O(its slots and records).
        """
        cdef str name = plain_text(eni_id, "eni_id")
        cdef list lost = []
        cdef int number, kind, n_held = 0
        cdef uint64_t slots
        cdef EniState *eni
        self.wait()
        number = self.number_of(name)
        eni = self.pool.enis[number]
        for kind in range(N_KINDS):
            n_held += eni.groups[kind].n_held
        if n_held and not force:
            raise AddressInUseError(f"ENI {name!r}", n_held)
        for kind in range(N_KINDS):
            slots = eni.groups[kind].attached & ~eni.groups[kind].idle
            while slots:
                self.list_held(number, kind, first_set(slots), lost)
                slots &= slots - 1
        del self._numbers[name]
        for kind in range(N_KINDS):
            slots = eni.groups[kind].attached
            while slots:
                pool_empty_slot(&self.pool, eni, number, kind, first_set(slots))
                slots &= slots - 1
        pool_remove(&self.pool, number)
        random_below(&self.pool.random, 1)  # the next walk of `find_freeable_eni` differs
        Py_DECREF(<object> eni.eni_id)
        Py_DECREF(<object> eni.subnet_id)
        eni_free(eni)
        return lost

    def exclude_eni(self, eni_id):
        """Exclude an ENI from assignment and from every address statistic; its pods stay.

        Raises `UnknownEniError`. Cost: constant.
        """
        self.set_excluded(plain_text(eni_id, "eni_id"), True)

    def include_eni(self, eni_id):
        """Include an excluded ENI again. Raises `UnknownEniError`. Cost: constant."""
        self.set_excluded(plain_text(eni_id, "eni_id"), False)

    cdef set_excluded(self, str eni_id, bint excluded):
        cdef int kind
        cdef EniState *eni
        self.wait()
        eni = self.pool.enis[self.number_of(eni_id)]
        eni.excluded = excluded
        for kind in range(N_KINDS):
            pool_refresh(&self.pool, eni, kind)

    def eni(self, eni_id):
        """Return the facts about an ENI. Raises `UnknownEniError`. Cost: constant."""
        cdef str name = plain_text(eni_id, "eni_id")
        self.wait()
        return self.eni_of(self.number_of(name))

    def enis(self):
        """Return all ENIs, lowest device number first. Cost: O(ENIs)."""
        cdef list found = []
        cdef int rank
        self.wait()
        for rank in range(self.pool.n_enis):
            found.append(self.eni_of(self.pool.order[rank]))
        return tuple(found)

    def turns(self, *, bint copied=False):
        """Return the ids of all ENIs in the order of the agent's rules.

        Under `arbitrary` that is one walk of a Go map, by the seed; `copied`: of a copy of the
        map. Else lowest device number first. Cost: O(ENIs).
        """
        cdef list found = []
        cdef int seats[N_ENIS]
        cdef int places[N_ENIS]
        cdef int original[N_ENIS]
        cdef int at, n, reach
        cdef uint64_t taken = 0
        self.wait()
        if self.pool.placement != ARBITRARY:
            return [eni.eni_id for eni in self.enis()]
        n = walk_list(seats_taken(&self.pool), self.pool.reach, &self.pool.random, seats)
        if copied:    # its entries are in the order of a first walk
            reach = walk_reach(GROUP, n)
            for at in range(n):
                places[at] = walk_seat(taken, reach, &self.pool.random)
                taken |= bit(places[at])
                original[places[at]] = seats[at]
            walk_list(taken, reach, &self.pool.random, places)
            for at in range(n):
                seats[at] = original[places[at]]
        for at in range(n):
            found.append(<str> pool_seated(&self.pool, seats[at]).eni_id)
        return found

    def __contains__(self, eni_id):
        return eni_id in self._numbers

    cdef int number_of(self, str eni_id) except -1:
        number = self._numbers.get(eni_id)
        if number is None:
            raise UnknownEniError(eni_id)
        return number

    cdef Eni eni_of(self, int number):
        cdef EniState *eni = self.pool.enis[number]
        cdef Eni value = Eni.__new__(Eni)
        value.eni_id, value.subnet_id = <str> eni.eni_id, <str> eni.subnet_id
        value.device_number, value.network_card = eni.device_number, eni.network_card
        value.route_table, value.created_ns = eni.route_table, eni.created_ns
        value.primary, value.trunk = eni.primary, eni.trunk
        value.efa, value.excluded = eni.efa, eni.excluded
        return value

    # --- assignments as values ----------------------------------------------------------

    cdef inline void describe(self, uint32_t number, Assignment value) noexcept:
        """Fill in the address and the holder of a record."""
        cdef Record *record = &self.pool.records.array[number]
        cdef EniState *eni = self.pool.enis[record.eni]
        value.eni_id, value.device_number = <str> eni.eni_id, eni.device_number
        value.assigned_ns, value.c_kind = record.assigned_ns, record.kind
        pool_address(&self.pool, number, &value.c_high, &value.c_low)

    cdef Assignment assignment_of(self, uint32_t number):
        """Return the current or former assignment of a record; a batch makes none."""
        cdef Record *record = &self.pool.records.array[number]
        cdef Assignment value
        if record.assignment != NULL:
            return <Assignment> record.assignment
        value = Assignment.__new__(Assignment)
        value.sandbox = sandbox_of(record.digest)
        self.describe(number, value)
        return value

    cdef int list_held(self, int number, int kind, int slot, list held) except -1:
        """List the assignments of a slot."""
        cdef Place place = Place(number, kind, slot, 0)
        cdef uint32_t offset, record
        for offset in range(slot_extent(self.pool.enis[number], kind, slot)):
            place.offset = offset
            record = pool_record_at(&self.pool, place)
            if record != NONE and self.pool.records.array[record].state == HELD:
                held.append(self.assignment_of(record))
        return 0
