"""Batches: many digests at once, without Python and without the GIL.

A batch is n rows of two words. Each is a digest first, and afterwards the address: its high and
its low 64 bits; a row of ones means that there was none. The caller holds the store.

Rows that follow each other, and whose addresses are in one cell, change it together: they are
a run. In its loop nothing is called. `_batch_release.pxd` has the way back.
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
    pool_record_for,
    pool_sign,
    pool_take,
)
from ipam_core._records cimport (
    Record,
    records_reserve,
    table_at,
    table_find,
    table_room,
    table_seek_tag,
    table_tag,
)
from ipam_core._slots cimport (
    HELD,
    NONE,
    PER_CELL,
    SECONDARY_IP,
    EniState,
    slot_base,
    slot_cell,
)


cdef enum: NOTHING = 0xFFFFFFFFFFFFFFFF    # both words of a row without an address


cdef struct Run:              # addresses of one cell that change together
    EniState *eni
    uint64_t cell             # `record_where` of one of them
    uint64_t high             # the cell's first address
    uint64_t low
    uint32_t offset           # of that in the slot
    uint32_t block            # of the cell, NONE if it has none
    uint16_t addresses        # that change
    uint16_t free             # that can be added
    uint8_t kind
    uint8_t slot


cdef inline void row_say_none(uint64_t *row) noexcept nogil:
    row[0] = row[1] = NOTHING


# --- assigning ------------------------------------------------------------------------------


cdef inline int run_next(Pool *pool, Run *run) noexcept nogil:
    """Take a run's addresses from free to held, and begin one where the next address is.

    Returns DONE, EXHAUSTED or NO_MEMORY, which leave a run without addresses.
    """
    cdef Place place
    cdef int answer
    run_take(pool, run)
    answer = pool_next(pool, &place)
    if answer != DONE:
        return answer
    run.eni, run.kind, run.slot = pool.enis[place.eni], place.kind, place.slot
    run.offset = place.offset // PER_CELL * PER_CELL
    run.block = pool_block_at(pool, place)
    run.free = <uint16_t> bit(place.offset % PER_CELL)
    if pool.placement in (PACK, FIRST) and place.kind != SECONDARY_IP:
        run.free = slot_cell(run.eni, place.kind, place.slot, place.offset).free
    slot_base(run.eni, run.kind, run.slot, &run.high, &run.low)
    run.low += run.offset
    run.cell = place.eni
    return DONE


cdef inline void run_take(Pool *pool, Run *run) noexcept nogil:
    """Take the addresses of a run from free to held, and end it."""
    if run.addresses:
        pool_take(pool, Place(<int> run.cell, run.kind, run.slot, run.offset), run.addresses)
    run.addresses = run.free = 0


cdef inline int row_assign(Pool *pool, Run *run, uint64_t *row, int64_t now_ns) noexcept nogil:
    """Assign to the digest of a row, out of the run or of a new one. Returns DONE or NO_MEMORY."""
    cdef uint32_t tag = table_tag(&pool.records, row), position, number
    cdef Place place
    cdef int answer, offset
    if records_reserve(&pool.records) < 0:
        return NO_MEMORY
    position = table_seek_tag(&pool.records, row, tag)
    number = table_at(&pool.records, position)
    if number != NONE:
        pool_address(pool, number, &row[0], &row[1])
        return DONE
    if not run.free:
        answer = run_next(pool, run)
        if answer == EXHAUSTED:
            row_say_none(row)
            return DONE
        if answer != DONE:
            return answer
    offset = first_set(run.free)
    place = Place(<int> run.cell, run.kind, run.slot, run.offset + offset)
    number = pool_record_for(pool, place)
    run.block = pool_block_at(pool, place)
    run.addresses |= <uint16_t> bit(offset)
    run.free &= run.free - 1
    pool_sign(pool, number, position, tag, row, now_ns)
    row[0], row[1] = run.high, run.low + offset
    return DONE


cdef inline Py_ssize_t run_assign(Pool *pool, Run *run, uint64_t *rows, Py_ssize_t n,
                                  int64_t now_ns) noexcept nogil:
    """Do as `row_assign` for the rows that find an address with a record in the run.

    Stops at the first that does not, or may hold one already, and returns how many there were.
    """
    cdef uint64_t *table = pool.records.table
    cdef Record *array = pool.records.array
    cdef Record *record
    cdef const uint32_t *numbers
    cdef uint64_t high = run.high, low = run.low, entry
    cdef uint32_t mask = pool.records.mask, position, tag, number
    cdef uint16_t free = run.free
    cdef Py_ssize_t row = 0
    cdef int offset
    if not free or run.block == NONE:
        return 0
    numbers = pool.records.blocks[run.block]
    n = min(n, table_room(&pool.records))
    while row < n and free:
        tag = table_tag(&pool.records, &rows[2 * row])
        position = tag & mask
        entry = table[position]
        while entry and entry >> 32 != tag:
            position = (position + 1) & mask
            entry = table[position]
        offset = first_set(free)
        number = numbers[offset]
        if entry or number == NONE:
            break
        free &= free - 1
        record = &array[number]
        record.state, record.assignment = HELD, NULL
        record.digest[0], record.digest[1] = rows[2 * row], rows[2 * row + 1]
        record.assigned_ns, record.released_ns = now_ns, 0
        table[position] = <uint64_t> tag << 32 | (number + 1)
        rows[2 * row], rows[2 * row + 1] = high, low + offset
        row += 1
    pool.records.n_in_table += row
    run.addresses |= run.free ^ free
    run.free = free
    return row


cdef inline int batch_assign(Pool *pool, uint64_t *rows, Py_ssize_t n,
                             int64_t now_ns) noexcept nogil:
    """Assign to each digest, as far as there are addresses. Returns DONE or NO_MEMORY.

    Under `pack` and `first` the next address is in the cell of the one before while that has
    any: they are a run. Call `batch_expire` before, so that addresses that have cooled are free.
    """
    cdef Py_ssize_t row = 0
    cdef int answer = DONE
    cdef Run run
    run.addresses = run.free = 0
    while row < n and answer == DONE:
        answer = row_assign(pool, &run, &rows[2 * row], now_ns)
        row += 1
        row += run_assign(pool, &run, &rows[2 * row], n - row, now_ns)
    run_take(pool, &run)
    return answer


# --- whether there are enough ---------------------------------------------------------------


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
