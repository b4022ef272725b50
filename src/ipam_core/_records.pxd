"""The holder of each address, its last holder, and the cooling addresses: cooldown is here.

A `Record` is an address that a sandbox holds, or held, or that a restart let cool. It is made
at first use, and removed when its slot is emptied; an address that was never used has none.
Records are in one array and have numbers:

    table    open addressing, linear probing, at most a quarter full: (tag, number + 1) of
             the held records, at home at `tag`, so that a probe rarely reads a record
             that is not the one sought. The tag is 32 bits of the sandbox's digest
             and the records' own random key: a caller that chooses digests cannot choose tags.
             Most probes end at their first entry: how many more there are is what a processor
             guesses wrongly, and each time it loses as much as 60 instructions take
    oldest   the cooling records, linked by `before` and `after` in order of release
    late     those that came when a later release was linked: a heap by time of release
    unused   the records that are of no address, linked by `after`
    blocks   16 record numbers each, of a /28 or of a cell of an IPv6 window

Finding a record in the table, inserting and removing it cost constant time. So does adding a
record to the cooling ones if it was released last, as nearly all are; a late one costs O(log
n).
"""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawRealloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from ipam_core._bits cimport mix
from ipam_core._slots cimport HELD, NONE, PER_CELL

cdef enum:
    UNUSED = 3                # a record of no address; the other states are those of an address

cdef enum: LATE = 0xFFFFFFFE    # `after` of a record in the heap; `before` is its place there


# While a record is held, its place in a list is where its assignment is: C's unions without a name.
cdef extern from *:
    """
    typedef struct {
        uint64_t digest[2];
        union { PyObject *assignment; struct { uint32_t before, after; }; };
        int64_t assigned_ns, released_ns;
        uint32_t offset;
        uint8_t eni, kind, slot, state;
    } ipam_record;
    """
    ctypedef struct Record "ipam_record":
        uint64_t digest[2]        # of the sandbox that holds it, or held it last
        PyObject *assignment      # owned while held, and only then; NULL: only the digest is known
        uint32_t before           # while it cools, or is of no address
        uint32_t after
        int64_t assigned_ns
        int64_t released_ns       # 0: never
        uint32_t offset           # of the address in its slot
        uint8_t eni
        uint8_t kind
        uint8_t slot
        uint8_t state


cdef struct Records:
    Record *array
    uint64_t *table
    uint64_t key[2]           # of the table
    uint32_t *late            # as much room as for records, so that it never has to grow
    uint32_t (*blocks)[PER_CELL]
    uint32_t n_records        # room, used or not; as for the blocks
    uint32_t n_blocks
    uint32_t n_unused
    uint32_t unused
    uint32_t unused_block     # blocks of no slot, linked by their first number
    uint32_t mask             # of positions in the table
    uint32_t n_in_table
    uint32_t oldest
    uint32_t newest
    uint32_t n_late


cdef inline int records_init(Records *records, const uint64_t *key) noexcept nogil:
    """Begin without any record; -1 without memory. The key must stay secret."""
    memset(records, 0, sizeof(Records))
    records.key[0], records.key[1] = key[0], key[1]
    records.unused = records.unused_block = records.oldest = records.newest = NONE
    records.mask = 15
    records.table = <uint64_t*> PyMem_RawCalloc(records.mask + 1, sizeof(uint64_t))
    return 0 if records.table != NULL else -1


cdef inline void record_forget(Record *record) noexcept:
    """Release the assignment of a record that is held. Needs the GIL."""
    Py_XDECREF(record.assignment)
    record.assignment = NULL


cdef inline bint record_is_of(const Record *record, const uint64_t *digest) noexcept nogil:
    """Return whether a digest holds a record."""
    return (record.state == HELD and record.digest[0] == digest[0]
            and record.digest[1] == digest[1])


cdef inline void records_close(Records *records) noexcept:
    cdef uint32_t number
    for number in range(records.n_records):
        if records.array[number].state == HELD:
            record_forget(&records.array[number])
    PyMem_RawFree(records.array)
    PyMem_RawFree(records.late)
    PyMem_RawFree(records.table)
    PyMem_RawFree(records.blocks)


# --- the table of held records ------------------------------------------------------


cdef inline uint32_t table_tag(const Records *records, const uint64_t *digest) noexcept nogil:
    """Return the tag of a digest."""
    return <uint32_t> mix(digest[0] ^ records.key[0], digest[1] ^ records.key[1])


cdef inline uint32_t table_seek(const Records *records, const uint64_t *digest) noexcept nogil:
    """Return the position of the record that this digest holds, else the place for it."""
    return table_seek_tag(records, digest, table_tag(records, digest))


cdef inline uint32_t table_seek_tag(const Records *records, const uint64_t *digest,
                                    uint32_t tag) noexcept nogil:
    """Do as `table_seek`, with the digest's tag."""
    cdef uint32_t position = tag & records.mask
    cdef uint64_t entry
    cdef const Record *record
    while True:
        entry = records.table[position]
        if entry == 0:
            return position
        if entry >> 32 == tag:
            record = &records.array[<uint32_t> entry - 1]
            if record.digest[0] == digest[0] and record.digest[1] == digest[1]:
                return position
        position = (position + 1) & records.mask


cdef inline uint32_t table_seek_record(const Records *records, uint32_t number) noexcept nogil:
    """Return the position of a held record; a digest may hold several (`adopt`)."""
    cdef uint32_t position = table_seek(records, records.array[number].digest)
    while <uint32_t> records.table[position] != number + 1:
        position = (position + 1) & records.mask
    return position


cdef inline uint32_t table_seek_end(const Records *records, uint32_t position) noexcept nogil:
    """Return the first empty position from one on: the place for one more record."""
    while records.table[position]:
        position = (position + 1) & records.mask
    return position


cdef inline uint32_t table_at(const Records *records, uint32_t position) noexcept nogil:
    """Return the number of the record at a position; NONE if there is none."""
    return <uint32_t> records.table[position] - 1


cdef inline uint32_t table_find(const Records *records, const uint64_t *digest) noexcept nogil:
    """Return the number of the record that this digest holds, or NONE."""
    return table_at(records, table_seek(records, digest))


cdef inline void table_insert(Records *records, uint32_t position, uint32_t tag,
                              uint32_t number) noexcept nogil:
    """Put a record at the position that `table_seek` gave for its digest, which has this tag."""
    records.table[position] = <uint64_t> tag << 32 | (number + 1)
    records.n_in_table += 1


cdef inline void table_remove(Records *records, uint32_t hole) noexcept nogil:
    """Empty a position; entries after it move up, so that no probe stops too early."""
    cdef uint32_t position = hole, home
    cdef uint64_t entry
    while True:
        position = (position + 1) & records.mask
        entry = records.table[position]
        if entry == 0:
            break
        home = <uint32_t> (entry >> 32) & records.mask
        if (position - home) & records.mask >= (position - hole) & records.mask:
            records.table[hole] = entry
            hole = position
    records.table[hole] = 0
    records.n_in_table -= 1


cdef inline uint32_t table_room(const Records *records) noexcept nogil:
    """Return how many more the table takes before it doubles."""
    return (records.mask >> 2) - records.n_in_table


cdef inline int table_double(Records *records) noexcept nogil:
    """Make room for twice as many; -1 without memory. The records of one digest stay in order."""
    cdef uint32_t size = (records.mask + 1) * 2, position, old
    cdef uint32_t first = table_seek_end(records, 0)    # no probe passes an empty position
    cdef uint64_t entry
    cdef uint64_t *table = <uint64_t*> PyMem_RawCalloc(size, sizeof(uint64_t))
    if table == NULL:
        return -1
    for old in range(records.mask + 1):
        entry = records.table[(first + old) & records.mask]
        if entry:
            position = <uint32_t> (entry >> 32) & (size - 1)
            while table[position]:
                position = (position + 1) & (size - 1)
            table[position] = entry
    PyMem_RawFree(records.table)
    records.table = table
    records.mask = size - 1
    return 0


# --- records and blocks -----------------------------------------------------------------


cdef inline int records_grow(Records *records) noexcept nogil:
    cdef uint32_t room = max(8, records.n_records // 2 * 3), number
    cdef void *grown = PyMem_RawRealloc(records.late, room * sizeof(uint32_t))
    if grown == NULL:
        return -1
    records.late = <uint32_t*> grown
    grown = PyMem_RawRealloc(records.array, room * sizeof(Record))
    if grown == NULL:
        return -1
    records.array = <Record*> grown
    memset(&records.array[records.n_records], 0, (room - records.n_records) * sizeof(Record))
    for number in range(records.n_records, room):
        records.array[number].state = UNUSED
        records.array[number].after = number + 1 if number + 1 < room else records.unused
    records.unused = records.n_records
    records.n_unused += room - records.n_records
    records.n_records = room
    return 0


cdef inline int blocks_grow(Records *records) noexcept nogil:
    cdef uint32_t room = max(4, records.n_blocks // 2 * 3), block
    cdef void *grown = PyMem_RawRealloc(records.blocks, room * sizeof(records.blocks[0]))
    if grown == NULL:
        return -1
    records.blocks = <uint32_t (*)[PER_CELL]> grown
    for block in range(records.n_blocks, room):
        records.blocks[block][0] = block + 1 if block + 1 < room else records.unused_block
    records.unused_block = records.n_blocks
    records.n_blocks = room
    return 0


cdef inline int records_reserve(Records *records) noexcept nogil:
    """Make room for one more record, one more block and one more in the table.

    Returns -1 if there is no memory; the records stay as they were.
    """
    if records.unused == NONE and records_grow(records) < 0:
        return -1
    if records.unused_block == NONE and blocks_grow(records) < 0:
        return -1
    if table_room(records) == 0 and table_double(records) < 0:
        return -1
    return 0


cdef inline uint32_t record_new(Records *records) noexcept nogil:
    """Take a record that `records_reserve` made room for."""
    cdef uint32_t number = records.unused
    records.unused = records.array[number].after
    records.n_unused -= 1
    return number


cdef inline void record_drop(Records *records, uint32_t number) noexcept nogil:
    """Give back a record that is neither held nor cooling."""
    cdef Record *record = &records.array[number]
    memset(record, 0, sizeof(Record))
    record.state = UNUSED
    record.after = records.unused
    records.unused = number
    records.n_unused += 1


cdef inline uint32_t block_new(Records *records) noexcept nogil:
    """Take a block that `records_reserve` made room for; all its numbers are NONE."""
    cdef uint32_t block = records.unused_block
    records.unused_block = records.blocks[block][0]
    memset(records.blocks[block], 0xFF, sizeof(records.blocks[block]))
    return block


cdef inline void block_drop(Records *records, uint32_t block) noexcept nogil:
    records.blocks[block][0] = records.unused_block
    records.unused_block = block


# --- the cooling records ----------------------------------------------------------------


cdef inline bint late_is_before(const Records *records, uint32_t place,
                                uint32_t other) noexcept nogil:
    """Return whether the record in one place of the heap was released before another's."""
    return (records.array[records.late[place]].released_ns
            < records.array[records.late[other]].released_ns)


cdef inline void late_swap(Records *records, uint32_t place, uint32_t other) noexcept nogil:
    cdef uint32_t number = records.late[place], its = records.late[other]
    records.late[place], records.late[other] = its, number
    records.array[its].before, records.array[number].before = place, other


cdef inline void late_settle(Records *records, uint32_t place) noexcept nogil:
    """Move the record in a place of the heap up or down to its right place."""
    cdef uint32_t child
    while place and late_is_before(records, place, (place - 1) // 2):
        late_swap(records, place, (place - 1) // 2)
        place = (place - 1) // 2
    while True:
        child = 2 * place + 1
        if child + 1 < records.n_late and late_is_before(records, child + 1, child):
            child += 1
        if child >= records.n_late or not late_is_before(records, child, place):
            return
        late_swap(records, place, child)
        place = child


cdef inline uint32_t cooling_oldest(const Records *records) noexcept nogil:
    """Return the cooling record that was released first; NONE if nothing cools."""
    cdef uint32_t late
    if records.n_late == 0:
        return records.oldest
    late = records.late[0]
    if (records.oldest == NONE or records.array[late].released_ns
            < records.array[records.oldest].released_ns):
        return late
    return records.oldest


cdef inline void cooling_add(Records *records, uint32_t number) noexcept nogil:
    """Let a record cool from its time of release on: nearly always as the newest."""
    cdef Record *record = &records.array[number]
    cdef uint32_t newest = records.newest
    if newest != NONE and records.array[newest].released_ns > record.released_ns:
        record.before, record.after = records.n_late, LATE
        records.late[records.n_late] = number
        records.n_late += 1
        late_settle(records, record.before)
        return
    record.before, record.after = newest, NONE
    if newest == NONE:
        records.oldest = number
    else:
        records.array[newest].after = number
    records.newest = number


cdef inline void cooling_remove(Records *records, uint32_t number) noexcept nogil:
    """Remove a record from the cooling ones."""
    cdef Record *record = &records.array[number]
    cdef uint32_t place = record.before
    if record.after == LATE:
        records.n_late -= 1
        if place != records.n_late:
            late_swap(records, place, records.n_late)
            late_settle(records, place)
        return
    if record.before == NONE:
        records.oldest = record.after
    else:
        records.array[record.before].after = record.after
    if record.after == NONE:
        records.newest = record.before
    else:
        records.array[record.after].before = record.before
