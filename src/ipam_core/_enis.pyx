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
    pool_empty_slot,
    pool_record_at,
    pool_refresh,
    pool_remove,
    pool_seated,
)
from ipam_core._records cimport Record
from ipam_core._seats cimport seat_eni, seats_taken
from ipam_core._shared cimport Shared
from ipam_core._slot_memory cimport eni_free
from ipam_core._slots cimport HELD, NONE, N_KINDS, EniState, slot_extent
from ipam_core._text cimport plain_text
from ipam_core._values cimport Assignment, Eni, sandbox_of, spare_one
from ipam_core._walk cimport GROUP, random_below, walk_list, walk_reach, walk_seat

from ipam_core.errors import AddressInUseError, CapacityError, DuplicateError, UnknownEniError


cdef int store_add_eni(Shared store, object eni_id, object device_number, object network_card,
                       bint primary, bint trunk, bint efa, bint excluded, object created_ns,
                       object subnet_id, object route_table) except -1:
    """Add an ENI without addresses."""
    cdef int device = checked_int(device_number, 0, 0x7FFF_FFFF, "device_number")
    cdef int card = checked_int(network_card, 0, 0x7FFF_FFFF, "network_card")
    cdef int route = checked_int(route_table, 0, 0x7FFF_FFFF, "route_table")
    cdef int64_t created = time_ns(created_ns, &store.latest_ns, "created_ns")
    cdef str name = plain_text(eni_id, "eni_id"), subnet = plain_text(subnet_id, "subnet_id")
    cdef EniState *eni
    store.wait()
    if name in store._numbers:
        raise DuplicateError("ENI", name)
    if store.pool.n_enis == N_ENIS:
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
        store._numbers[name] = None
    except MemoryError:
        PyMem_RawFree(eni)
        raise
    Py_INCREF(name)
    Py_INCREF(subnet)
    if store.pool.placement == ARBITRARY:
        seat_eni(&store.pool, eni)
    store._numbers[name] = pool_add(&store.pool, eni)
    return 0


cdef list store_remove_eni(Shared store, object eni_id, bint force):
    """Remove an ENI and all its addresses; return the assignments that were lost with it."""
    cdef str name = plain_text(eni_id, "eni_id")
    cdef list lost = []
    cdef int number, kind, n_held = 0
    cdef uint64_t slots
    cdef EniState *eni
    store.wait()
    number = number_of(store, name)
    eni = store.pool.enis[number]
    for kind in range(N_KINDS):
        n_held += eni.groups[kind].n_held
    if n_held and not force:
        raise AddressInUseError(f"ENI {name!r}", n_held)
    for kind in range(N_KINDS):
        slots = eni.groups[kind].attached & ~eni.groups[kind].idle
        while slots:
            list_held(store, number, kind, first_set(slots), lost)
            slots &= slots - 1
    del store._numbers[name]
    for kind in range(N_KINDS):
        slots = eni.groups[kind].attached
        while slots:
            pool_empty_slot(&store.pool, eni, number, kind, first_set(slots))
            slots &= slots - 1
    pool_remove(&store.pool, number)
    random_below(&store.pool.random, 1)  # the next walk of `find_freeable_eni` differs
    Py_DECREF(<object> eni.eni_id)
    Py_DECREF(<object> eni.subnet_id)
    eni_free(eni)
    return lost


cdef int set_excluded(Shared store, str eni_id, bint excluded) except -1:
    cdef int kind
    cdef EniState *eni
    store.wait()
    eni = store.pool.enis[number_of(store, eni_id)]
    eni.excluded = excluded
    for kind in range(N_KINDS):
        pool_refresh(&store.pool, eni, kind)
    return 0


cdef Eni store_eni(Shared store, object eni_id):
    """Return the facts about an ENI."""
    cdef str name = plain_text(eni_id, "eni_id")
    store.wait()
    return eni_of(store, number_of(store, name))


cdef tuple store_enis(Shared store):
    """Return all ENIs, lowest device number first."""
    cdef list found = []
    cdef int rank
    store.wait()
    for rank in range(store.pool.n_enis):
        found.append(eni_of(store, store.pool.order[rank]))
    return tuple(found)


cdef list store_turns(Shared store, bint copied):
    """Return the ids of all ENIs in the order of the agent's rules."""
    cdef list found = []
    cdef int seats[N_ENIS]
    cdef int places[N_ENIS]
    cdef int original[N_ENIS]
    cdef int at, n, reach
    cdef uint64_t taken = 0
    store.wait()
    if store.pool.placement != ARBITRARY:
        return [eni.eni_id for eni in store_enis(store)]
    n = walk_list(seats_taken(&store.pool), store.pool.reach, &store.pool.random, seats)
    if copied:    # its entries are in the order of a first walk
        reach = walk_reach(GROUP, n)
        for at in range(n):
            places[at] = walk_seat(taken, reach, &store.pool.random)
            taken |= bit(places[at])
            original[places[at]] = seats[at]
        walk_list(taken, reach, &store.pool.random, places)
        for at in range(n):
            seats[at] = original[places[at]]
    for at in range(n):
        found.append(<str> pool_seated(&store.pool, seats[at]).eni_id)
    return found


cdef int number_of(Shared store, str eni_id) except -1:
    number = store._numbers.get(eni_id)
    if number is None:
        raise UnknownEniError(eni_id)
    return number


cdef Eni eni_of(Shared store, int number):
    cdef EniState *eni = store.pool.enis[number]
    cdef Eni value = Eni.__new__(Eni)
    value.eni_id, value.subnet_id = <str> eni.eni_id, <str> eni.subnet_id
    value.device_number, value.network_card = eni.device_number, eni.network_card
    value.route_table, value.created_ns = eni.route_table, eni.created_ns
    value.primary, value.trunk = eni.primary, eni.trunk
    value.efa, value.excluded = eni.efa, eni.excluded
    return value


cdef Assignment assignment_of(Shared store, uint32_t number):
    """Return the current or former assignment of a record; a batch makes none."""
    cdef Record *record = &store.pool.records.array[number]
    if record.state == HELD and record.assignment != NULL:
        return <Assignment> record.assignment
    spare_one()
    return described(store, number, sandbox_of(record.digest), None)


cdef int list_held(Shared store, int number, int kind, int slot, list held) except -1:
    """List the assignments of a slot."""
    cdef Place place = Place(number, kind, slot, 0)
    cdef uint32_t offset, record
    for offset in range(slot_extent(store.pool.enis[number], kind, slot)):
        place.offset = offset
        record = pool_record_at(&store.pool, place)
        if record != NONE and store.pool.records.array[record].state == HELD:
            held.append(assignment_of(store, record))
    return 0


cdef int check_ids(Shared store) except -1:
    """Check that each ENI is found by its id, and nothing else is."""
    for rank in range(store.pool.n_enis):
        number = store.pool.order[rank]
        if store._numbers[<str> store.pool.enis[number].eni_id] != number:
            raise AssertionError("an ENI is found by its id")
    if len(store._numbers) != store.pool.n_enis:
        raise AssertionError("every id is of an ENI")
    return 0
