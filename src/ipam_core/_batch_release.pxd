"""Batches: releasing and expiring, by runs (`_batch.pxd`).

A batch is looked up first (`batch_find`), each digest once. What it finds are positions in the
table, which stay right until the first entry is removed: so all entries are emptied together, and
then those behind each move up, of which there are few.
"""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from ipam_core._batch cimport NOTHING, Run, row_say_none
from ipam_core._bits cimport bit
from ipam_core._pool cimport Pool, pool_address, pool_cool, pool_expire
from ipam_core._records cimport Record, Records, record_forget, table_tag
from ipam_core._slots cimport (
    COOLING,
    FREE,
    HELD,
    NONE,
    PER_CELL,
    slot_base,
    slot_cool,
    slot_free,
)


cdef inline uint64_t record_where(const Record *record) noexcept nogil:
    """Return a word for a record's state and address; in a cell the last four bits differ."""
    return (<uint64_t> record.state << 56 | <uint64_t> record.slot << 48
            | <uint64_t> record.kind << 40 | <uint64_t> record.eni << 32 | record.offset)


cdef inline void run_begin(Run *run, const Pool *pool, const Record *record) noexcept nogil:
    """Begin a run in the cell of a record, without an address yet."""
    run.eni, run.kind, run.slot = pool.enis[record.eni], record.kind, record.slot
    run.cell = record_where(record)
    run.offset = record.offset // PER_CELL * PER_CELL
    slot_base(run.eni, run.kind, run.slot, &run.high, &run.low)
    run.low += run.offset


cdef inline void batch_expire(Pool *pool, int64_t now_ns) noexcept nogil:
    """Do as `pool_expire`, cell by cell where what cools was released in order."""
    cdef Records *records = &pool.records
    cdef Record *array = records.array
    cdef uint32_t number = records.oldest
    cdef int64_t cooldown_ns = pool.cooldown_ns
    cdef Record *record
    cdef uint64_t where
    cdef uint16_t addresses
    cdef Run run
    if records.n_late:
        pool_expire(pool, now_ns)
        return
    while number != NONE and now_ns - array[number].released_ns > cooldown_ns:
        run_begin(&run, pool, &array[number])
        addresses = 0
        while number != NONE:
            record = &array[number]
            where = record_where(record)
            if (where ^ run.cell) >= PER_CELL or now_ns - record.released_ns <= cooldown_ns:
                break
            addresses |= <uint16_t> bit(where % PER_CELL)
            record.state = FREE
            number = record.after
        slot_free(run.eni, run.kind, run.slot, run.offset, addresses)
        if not run.eni.excluded:
            pool.has_free[run.kind] |= bit(run.eni.seat)
    records.oldest = number
    if number == NONE:
        records.newest = NONE
    else:
        array[number].before = NONE


cdef inline Py_ssize_t batch_find(Pool *pool, uint64_t *rows, Py_ssize_t n, bint partial,
                                  bint *owned) noexcept nogil:
    """Find what each digest holds, for `batch_release`; return n.

    A row then has its entry's position in the table and the number of its record, or ones if it
    holds nothing; the records are marked as COOLING, and `owned` is whether one owns an
    assignment. Unless `partial`, the first row that holds nothing or is repeated is returned, and
    nothing has changed but the rows before it.

    A digest may hold several addresses (`adopt`). If it is repeated, and that is allowed, each
    row finds one.
    """
    cdef uint64_t *table = pool.records.table
    cdef Record *array = pool.records.array
    cdef Record *record
    cdef uint32_t mask = pool.records.mask, position, tag
    cdef uint64_t entry, high, low
    cdef size_t assignments = 0
    cdef Py_ssize_t row, found
    for row in range(n):
        high, low = rows[2 * row], rows[2 * row + 1]
        tag = table_tag(&pool.records, &rows[2 * row])
        position = tag & mask
        while True:
            entry = table[position]
            if entry == 0:
                break
            record = &array[<uint32_t> entry - 1]
            if (entry >> 32 == tag and record.digest[0] == high and record.digest[1] == low
                    and (record.state == HELD or not partial)):
                break
            position = (position + 1) & mask
        if entry and record.state == HELD:
            record.state = COOLING
            assignments |= <size_t> record.assignment
            rows[2 * row], rows[2 * row + 1] = position, <uint32_t> entry - 1
        elif partial:
            row_say_none(&rows[2 * row])
        else:
            for found in range(row):
                array[rows[2 * found + 1]].state = HELD
            return row
    owned[0] = assignments != 0
    return n


cdef inline void batch_release(Pool *pool, uint64_t *rows, Py_ssize_t n, int64_t now_ns,
                               bint owned) noexcept nogil:
    """Release what `batch_find` found. Takes the GIL if a record owns an assignment."""
    cdef Records *records = &pool.records
    cdef Record *array = records.array
    cdef Py_ssize_t row
    cdef uint32_t number
    if owned:
        with gil:
            for row in range(n):
                if rows[2 * row + 1] != NOTHING:
                    record_forget(&array[rows[2 * row + 1]])
    batch_remove(records, rows, n)
    row = 0
    if pool.cooldown_ns and (records.newest == NONE
                             or array[records.newest].released_ns <= now_ns):
        while row < n:
            if rows[2 * row + 1] == NOTHING:
                row_say_none(&rows[2 * row])
                row += 1
            else:
                row += run_release(pool, &rows[2 * row], n - row, now_ns)
        return
    for row in range(n):
        if rows[2 * row + 1] == NOTHING:
            row_say_none(&rows[2 * row])
        else:
            number = <uint32_t> rows[2 * row + 1]
            pool_address(pool, number, &rows[2 * row], &rows[2 * row + 1])
            pool_cool(pool, number, now_ns)


cdef inline void batch_remove(Records *records, uint64_t *rows, Py_ssize_t n) noexcept nogil:
    """Remove the entries that `batch_find` found. The rows keep the numbers of the records alone.

    All positions are emptied before an entry moves. The first words of the rows become the list of
    those with an entry behind them.
    """
    cdef uint64_t *table = records.table
    cdef uint32_t mask = records.mask
    cdef Py_ssize_t row, n_found = 0, n_followed = 0
    cdef uint64_t position
    for row in range(n):
        if rows[2 * row + 1] != NOTHING:
            position = rows[2 * row]
            table[position] = 0
            n_found += 1
            rows[2 * n_followed] = position
            n_followed += table[(position + 1) & mask] != 0
    records.n_in_table -= n_found
    for row in range(n_followed):
        table_mend(records, <uint32_t> rows[2 * row])


cdef inline void table_mend(Records *records, uint32_t hole) noexcept nogil:
    """Move up the entries after a position that was emptied, among others: once for each.

    An entry goes to the first empty position that a probe for it meets, but not before another
    of its tag, which may be of the same digest.
    """
    cdef uint32_t position = hole, place, better
    cdef uint64_t entry
    while True:
        position = (position + 1) & records.mask
        entry = records.table[position]
        if entry == 0:
            return
        place = <uint32_t> (entry >> 32) & records.mask
        better = position
        while place != position:
            if records.table[place] == 0:
                if better == position:
                    better = place
            elif records.table[place] >> 32 == entry >> 32:
                better = position
            place = (place + 1) & records.mask
        if better != position:
            records.table[better], records.table[position] = entry, 0


cdef inline Py_ssize_t run_release(Pool *pool, uint64_t *rows, Py_ssize_t n,
                                   int64_t now_ns) noexcept nogil:
    """Let addresses of one cell cool, as the newest: of the first row, and of as many as follow.

    Returns how many rows there were.
    """
    cdef Records *records = &pool.records
    cdef Record *array = records.array
    cdef Record *record
    cdef uint32_t newest = records.newest, number
    cdef uint32_t *link = &records.oldest if newest == NONE else &array[newest].after
    cdef uint16_t addresses = 0
    cdef uint64_t where, high, low
    cdef Py_ssize_t row = 0
    cdef Run run
    run_begin(&run, pool, &array[rows[1]])
    high, low = run.high, run.low
    while row < n and rows[2 * row + 1] != NOTHING:
        number = <uint32_t> rows[2 * row + 1]
        record = &array[number]
        where = record_where(record)
        if (where ^ run.cell) >= PER_CELL:
            break
        rows[2 * row], rows[2 * row + 1] = high, low + where % PER_CELL
        addresses |= <uint16_t> bit(where % PER_CELL)
        record.released_ns = now_ns
        record.before = newest
        link[0] = newest = number
        link = &record.after
        row += 1
    link[0] = NONE
    records.newest = newest
    slot_cool(run.eni, run.kind, run.slot, run.offset, addresses)
    return row
