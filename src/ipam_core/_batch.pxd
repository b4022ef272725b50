"""Batches: many digests at once, without Python and without the GIL.

`digests` and `addresses` are n rows of two words. An address is its high and its low 64
bits; a row of ones means that there was none. The caller holds the store.
"""

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport qsort

from ipam_core._assign cimport pool_n_assignable, pool_next
from ipam_core._bits cimport bit, first_set
from ipam_core._pool cimport (
    DONE,
    EXHAUSTED,
    FIRST,
    NO_MEMORY,
    PACK,
    Place,
    Pool,
    pool_address,
    pool_block_at,
    pool_cool,
    pool_expire,
    pool_record_for,
    pool_sign,
    pool_take,
    record_bit,
)
from ipam_core._records cimport (
    UNUSED,
    Record,
    Records,
    cooling_add,
    record_forget,
    records_reserve,
    table_at,
    table_find,
    table_remove,
    table_seek,
    table_seek_tag,
    table_tag,
)
from ipam_core._slots cimport (
    COOLING,
    FREE,
    HELD,
    NONE,
    PER_CELL,
    SECONDARY_IP,
    EniState,
    slot_base,
    slot_cell,
    slot_cool,
    slot_free,
)


cdef inline void batch_say_none(uint64_t *address) noexcept nogil:
    address[0] = address[1] = <uint64_t> -1


cdef inline int batch_assign(Pool *pool, const uint64_t *digests, Py_ssize_t n,
                             int64_t now_ns, uint64_t *addresses) noexcept nogil:
    """Assign to each digest, as far as there are addresses. Returns DONE or NO_MEMORY.

    Under `pack` and `first` the next address is in the cell of the one before while that has
    any. They are taken from the cell together (`taken`) when it has no more or the batch ends.
    Call `batch_expire` before, so that addresses that have cooled are free.
    """
    cdef bint in_runs = pool.placement in (PACK, FIRST)
    cdef Place place
    cdef Py_ssize_t row
    cdef uint32_t tag, position, number
    cdef uint32_t block = NONE           # of the cell: its records
    cdef uint64_t high = 0, low = 0      # of the cell: its first address
    cdef uint16_t free = 0, taken = 0
    cdef int answer = DONE, offset
    for row in range(n):
        if records_reserve(&pool.records) < 0:
            answer = NO_MEMORY
            break
        tag = table_tag(&pool.records, &digests[2 * row])
        position = table_seek_tag(&pool.records, &digests[2 * row], tag)
        number = table_at(&pool.records, position)
        if number != NONE:
            pool_address(pool, number, &addresses[2 * row], &addresses[2 * row + 1])
            continue
        if not free:
            if taken:
                pool_take(pool, place, taken)
                taken = 0
            answer = pool_next(pool, &place)
            if answer == NO_MEMORY:
                break
            if answer == EXHAUSTED:
                batch_say_none(&addresses[2 * row])
                answer = DONE
                continue
            free = <uint16_t> bit(place.offset % PER_CELL)
            if in_runs and place.kind != SECONDARY_IP:
                free = slot_cell(
                    pool.enis[place.eni], place.kind, place.slot, place.offset).free
            slot_base(pool.enis[place.eni], place.kind, place.slot, &high, &low)
            low += place.offset // PER_CELL * PER_CELL
            block = pool_block_at(pool, place)
        offset = first_set(free)
        free &= free - 1
        taken |= <uint16_t> bit(offset)
        number = NONE if block == NONE else pool.records.blocks[block][offset]
        if number == NONE:
            place.offset = place.offset // PER_CELL * PER_CELL + offset
            number = pool_record_for(pool, place)
            block = pool_block_at(pool, place)
        pool_sign(pool, number, position, tag, &digests[2 * row], now_ns)
        addresses[2 * row], addresses[2 * row + 1] = high, low + offset
    if taken:
        pool_take(pool, place, taken)
    return answer


cdef struct Run:              # addresses of one cell that change together
    EniState *eni
    uint64_t cell             # `record_cell` of each of them
    uint64_t high             # the cell's first address
    uint64_t low
    uint32_t offset           # of that in the slot
    uint16_t addresses        # 0: none
    uint8_t kind
    uint8_t slot


cdef inline uint64_t record_cell(const Record *record) noexcept nogil:
    """Return a number of the cell that a record's address is in; no other cell has it."""
    return (<uint64_t> record.slot << 48 | <uint64_t> record.kind << 40
            | <uint64_t> record.eni << 32 | record.offset // PER_CELL)


cdef inline bint run_takes(Run *run, const Record *record) noexcept nogil:
    """Add an address to a run; False if it is of another cell: the run must be ended first."""
    if not run.addresses or run.cell != record_cell(record):
        return False
    run.addresses |= record_bit(record)
    return True


cdef inline void run_begin(Run *run, const Pool *pool, const Record *record) noexcept nogil:
    """Begin a run with an address; it has none."""
    run.eni, run.kind, run.slot = pool.enis[record.eni], record.kind, record.slot
    run.cell = record_cell(record)
    run.offset = record.offset // PER_CELL * PER_CELL
    slot_base(run.eni, run.kind, run.slot, &run.high, &run.low)
    run.low += run.offset
    run.addresses = record_bit(record)


cdef inline void run_cool(Run *run) noexcept nogil:
    """Take the addresses of a run from held to cooling, and end it."""
    if run.addresses:
        slot_cool(run.eni, run.kind, run.slot, run.offset, run.addresses)
    run.addresses = 0


cdef inline void run_free(Run *run, Pool *pool) noexcept nogil:
    """Take the addresses of a run from cooling to free, and end it."""
    if run.addresses:
        slot_free(run.eni, run.kind, run.slot, run.offset, run.addresses)
        if not run.eni.excluded:
            pool.has_free[run.kind] |= bit(run.eni.seat)
    run.addresses = 0


cdef inline void batch_expire(Pool *pool, int64_t now_ns) noexcept nogil:
    """Do as `pool_expire`, cell by cell where what cools was released in order."""
    cdef Records *records = &pool.records
    cdef uint32_t number = records.oldest
    cdef Record *array = records.array
    cdef Record *record
    cdef Run run
    if records.n_late:
        pool_expire(pool, now_ns)
        return
    run.addresses = 0
    while number != NONE:
        record = &array[number]
        if now_ns - record.released_ns <= pool.cooldown_ns:
            break
        record.state = FREE
        if not run_takes(&run, record):
            run_free(&run, pool)
            run_begin(&run, pool, record)
        number = record.after
    run_free(&run, pool)
    records.oldest = number
    if number == NONE:
        records.newest = NONE
    else:
        records.array[number].before = NONE


cdef inline void batch_release(Pool *pool, const uint64_t *digests, Py_ssize_t n,
                               int64_t now_ns, uint64_t *addresses) noexcept nogil:
    """Release what each digest holds.

    The first word of a row of `addresses` is its entry in the table (`batch_find`).
    """
    cdef Records *records = &pool.records
    cdef uint64_t *table = records.table    # it does not grow here
    cdef Record *array = records.array
    cdef uint32_t mask = records.mask, position, number
    cdef Py_ssize_t row
    cdef uint64_t entry
    cdef Record *record
    cdef Run run
    run.addresses = 0
    for row in range(n):
        entry = addresses[2 * row]
        if entry == 0:
            batch_say_none(&addresses[2 * row])
            continue
        position = <uint32_t> (entry >> 32) & mask
        while table[position] != entry and table[position]:
            position = (position + 1) & mask
        if table[position] == 0:  # a row before released it: there may be one more
            position = table_seek(records, &digests[2 * row])
            if table[position] == 0:
                batch_say_none(&addresses[2 * row])
                continue
        number = table_at(records, position)
        record = &array[number]
        if record.assignment != NULL:
            with gil:
                record_forget(record)
        table_remove(records, position)
        if pool.cooldown_ns == 0:
            pool_address(pool, number, &addresses[2 * row], &addresses[2 * row + 1])
            pool_cool(pool, number, now_ns)
            continue
        if not run_takes(&run, record):
            run_cool(&run)
            run_begin(&run, pool, record)
        addresses[2 * row], addresses[2 * row + 1] = run.high, run.low + record.offset % PER_CELL
        record.state, record.released_ns = COOLING, now_ns
        cooling_add(records, number)
    run_cool(&run)


cdef inline void batch_find(const Pool *pool, const uint64_t *digests, Py_ssize_t n,
                            uint64_t *entries) noexcept nogil:
    """Write the table's entry of each digest's record, 0 for none, into the row's first word."""
    cdef Py_ssize_t row
    for row in range(n):
        entries[2 * row] = pool.records.table[table_seek(&pool.records, &digests[2 * row])]


cdef inline int by_words(const void *one, const void *other) noexcept nogil:
    """Order digests, for qsort."""
    cdef const uint64_t *a = <const uint64_t*> one
    cdef const uint64_t *b = <const uint64_t*> other
    cdef int by_first = (a[0] > b[0]) - (a[0] < b[0])
    return by_first if by_first else (a[1] > b[1]) - (a[1] < b[1])


cdef inline int batch_fits(const Pool *pool, const uint64_t *digests,
                           Py_ssize_t n) noexcept nogil:
    """Return DONE if there is an address for each digest that holds none.

    Else EXHAUSTED; NO_MEMORY if that cannot be determined.
    """
    cdef int64_t n_free = pool_n_assignable(pool), n_new = 0
    cdef Py_ssize_t row
    cdef uint64_t *new
    if n <= n_free:
        return DONE
    # Too many, unless some hold one already or are repeated: sort to count each once.
    new = <uint64_t*> PyMem_RawMalloc(n * 2 * sizeof(uint64_t))
    if new == NULL:
        return NO_MEMORY
    for row in range(n):
        if table_find(&pool.records, &digests[2 * row]) == NONE:
            new[2 * n_new], new[2 * n_new + 1] = digests[2 * row], digests[2 * row + 1]
            n_new += 1
    qsort(new, n_new, 2 * sizeof(uint64_t), by_words)
    for row in range(1, n_new):
        n_free += by_words(&new[2 * row - 2], &new[2 * row]) == 0
    PyMem_RawFree(new)
    return DONE if n_new <= n_free else EXHAUSTED


cdef inline Py_ssize_t batch_unknown(Pool *pool, const uint64_t *digests, Py_ssize_t n,
                                     uint64_t *entries) noexcept nogil:
    """Do as `batch_find`; return the first row that holds nothing or is repeated, n for none.

    If there is none, the records of all rows are marked as seen (UNUSED), and are to be
    released.
    """
    cdef Py_ssize_t row, first = 0
    cdef uint32_t number
    while first < n:
        entries[2 * first] = pool.records.table[table_seek(&pool.records, &digests[2 * first])]
        number = <uint32_t> entries[2 * first] - 1
        if number == NONE or pool.records.array[number].state != HELD:
            break
        pool.records.array[number].state = UNUSED
        first += 1
    if first < n:
        for row in range(first):
            pool.records.array[<uint32_t> entries[2 * row] - 1].state = HELD
    return first
