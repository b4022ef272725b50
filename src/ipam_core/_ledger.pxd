"""Who holds which address, who held it last, and which addresses are cooling.

A `Record` is an address that a sandbox holds, or held, or that a restart let cool. It
is made at first use, and goes when its slot is emptied; an address that was never used
has none. Records lie in one array and are named by number:

    table    open addressing, linear probing, at most half full: (tag, number + 1) of
             the held records, at home at `tag`, so that a probe seldom touches a record
             that is not the one sought. The tag is 32 bits out of the sandbox's digest
             and the ledger's own random key: whoever chooses digests cannot choose tags
    oldest   the cooling records, linked by `before` and `after` in order of release
    late     those that came when a later release was linked: a heap by time of release
    unused   the records that are of no address, linked by `after`
    blocks   16 record numbers each, of a /28 or of a cell of an IPv6 window

Finding, hanging and unhanging a record cost constant time; so does queueing one that
was released last, as nearly all are. One that comes late costs O(log n).
"""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawRealloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from ipam_core._bits cimport mix
from ipam_core._slots cimport HELD, NONE, PER_CELL

cdef enum:
    UNUSED = 3                # a record of no address, beside the states of an address

cdef enum: LATE = 0xFFFFFFFE    # `after` of a record in the heap; `before` is its place there


cdef struct Record:
    uint64_t digest[2]        # of the sandbox that holds it, or held it last
    PyObject *assignment      # owned while held; NULL where only the digest is known
    int64_t assigned_ns
    int64_t released_ns       # 0: never
    uint32_t before
    uint32_t after
    uint32_t offset           # of the address in its slot
    uint8_t eni
    uint8_t kind
    uint8_t slot
    uint8_t state


cdef struct Ledger:
    Record *records
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
    uint32_t n_hung
    uint32_t oldest
    uint32_t newest
    uint32_t n_late


cdef inline int ledger_init(Ledger *ledger, const uint64_t *key) noexcept nogil:
    """Begin an empty ledger; -1 where there is no memory. Nobody shall know the key."""
    memset(ledger, 0, sizeof(Ledger))
    ledger.key[0], ledger.key[1] = key[0], key[1]
    ledger.unused = ledger.unused_block = ledger.oldest = ledger.newest = NONE
    ledger.mask = 15
    ledger.table = <uint64_t*> PyMem_RawCalloc(ledger.mask + 1, sizeof(uint64_t))
    return 0 if ledger.table != NULL else -1


cdef inline void record_forget(Record *record) noexcept:
    """Give up the assignment of a record. Needs the GIL."""
    Py_XDECREF(record.assignment)
    record.assignment = NULL


cdef inline bint record_is_of(const Record *record, const uint64_t *digest) noexcept nogil:
    """Return whether a digest holds a record."""
    return (record.state == HELD and record.digest[0] == digest[0]
            and record.digest[1] == digest[1])


cdef inline void ledger_close(Ledger *ledger) noexcept:
    cdef uint32_t number
    for number in range(ledger.n_records):
        record_forget(&ledger.records[number])
    PyMem_RawFree(ledger.records)
    PyMem_RawFree(ledger.late)
    PyMem_RawFree(ledger.table)
    PyMem_RawFree(ledger.blocks)


# --- the table of held records ------------------------------------------------------


cdef inline uint32_t ledger_tag(const Ledger *ledger, const uint64_t *digest) noexcept nogil:
    """Return the tag of a digest."""
    return <uint32_t> mix(digest[0] ^ ledger.key[0], digest[1] ^ ledger.key[1])


cdef inline uint32_t ledger_seek(const Ledger *ledger, const uint64_t *digest) noexcept nogil:
    """Return the position of the record that this digest holds, else where it would hang."""
    cdef uint32_t tag = ledger_tag(ledger, digest), position = tag & ledger.mask
    cdef uint64_t entry
    cdef const Record *record
    while True:
        entry = ledger.table[position]
        if entry == 0:
            return position
        if entry >> 32 == tag:
            record = &ledger.records[<uint32_t> entry - 1]
            if record.digest[0] == digest[0] and record.digest[1] == digest[1]:
                return position
        position = (position + 1) & ledger.mask


cdef inline uint32_t ledger_seek_record(const Ledger *ledger, uint32_t number) noexcept nogil:
    """Return the position of a held record; a digest may hold several (`adopt`)."""
    cdef uint32_t position = ledger_seek(ledger, ledger.records[number].digest)
    while <uint32_t> ledger.table[position] != number + 1:
        position = (position + 1) & ledger.mask
    return position


cdef inline uint32_t ledger_seek_end(const Ledger *ledger, uint32_t position) noexcept nogil:
    """Return the first empty position from one on: where one more record would hang."""
    while ledger.table[position]:
        position = (position + 1) & ledger.mask
    return position


cdef inline uint32_t ledger_at(const Ledger *ledger, uint32_t position) noexcept nogil:
    """Return the number of the record at a position; NONE where there is none."""
    return <uint32_t> ledger.table[position] - 1


cdef inline uint32_t ledger_find(const Ledger *ledger, const uint64_t *digest) noexcept nogil:
    """Return the number of the record that this digest holds, or NONE."""
    return ledger_at(ledger, ledger_seek(ledger, digest))


cdef inline void ledger_hang(Ledger *ledger, uint32_t position, uint32_t number) noexcept nogil:
    """Hang a record at the position that `ledger_seek` gave for its digest."""
    cdef uint64_t tag = ledger_tag(ledger, ledger.records[number].digest)
    ledger.table[position] = tag << 32 | (number + 1)
    ledger.n_hung += 1


cdef inline void ledger_unhang(Ledger *ledger, uint32_t hole) noexcept nogil:
    """Empty a position; entries behind it move up, so that no probe stops too early."""
    cdef uint32_t position = hole, home
    cdef uint64_t entry
    while True:
        position = (position + 1) & ledger.mask
        entry = ledger.table[position]
        if entry == 0:
            break
        home = <uint32_t> (entry >> 32) & ledger.mask
        if (position - home) & ledger.mask >= (position - hole) & ledger.mask:
            ledger.table[hole] = entry
            hole = position
    ledger.table[hole] = 0
    ledger.n_hung -= 1


cdef inline int table_double(Ledger *ledger) noexcept nogil:
    cdef uint32_t size = (ledger.mask + 1) * 2, position, old
    cdef uint64_t *table = <uint64_t*> PyMem_RawCalloc(size, sizeof(uint64_t))
    if table == NULL:
        return -1
    for old in range(ledger.mask + 1):
        if ledger.table[old]:
            position = <uint32_t> (ledger.table[old] >> 32) & (size - 1)
            while table[position]:
                position = (position + 1) & (size - 1)
            table[position] = ledger.table[old]
    PyMem_RawFree(ledger.table)
    ledger.table = table
    ledger.mask = size - 1
    return 0


# --- records and blocks -----------------------------------------------------------------


cdef inline int records_grow(Ledger *ledger) noexcept nogil:
    cdef uint32_t room = max(8, ledger.n_records // 2 * 3), number
    cdef void *grown = PyMem_RawRealloc(ledger.late, room * sizeof(uint32_t))
    if grown == NULL:
        return -1
    ledger.late = <uint32_t*> grown
    grown = PyMem_RawRealloc(ledger.records, room * sizeof(Record))
    if grown == NULL:
        return -1
    ledger.records = <Record*> grown
    memset(&ledger.records[ledger.n_records], 0, (room - ledger.n_records) * sizeof(Record))
    for number in range(ledger.n_records, room):
        ledger.records[number].state = UNUSED
        ledger.records[number].after = number + 1 if number + 1 < room else ledger.unused
    ledger.unused = ledger.n_records
    ledger.n_unused += room - ledger.n_records
    ledger.n_records = room
    return 0


cdef inline int blocks_grow(Ledger *ledger) noexcept nogil:
    cdef uint32_t room = max(4, ledger.n_blocks // 2 * 3), block
    cdef void *grown = PyMem_RawRealloc(ledger.blocks, room * sizeof(ledger.blocks[0]))
    if grown == NULL:
        return -1
    ledger.blocks = <uint32_t (*)[PER_CELL]> grown
    for block in range(ledger.n_blocks, room):
        ledger.blocks[block][0] = block + 1 if block + 1 < room else ledger.unused_block
    ledger.unused_block = ledger.n_blocks
    ledger.n_blocks = room
    return 0


cdef inline int ledger_reserve(Ledger *ledger) noexcept nogil:
    """Make room for one more record, one more block and one more in the table.

    Returns -1 where there is no memory; what is recorded stays as it was.
    """
    if ledger.unused == NONE and records_grow(ledger) < 0:
        return -1
    if ledger.unused_block == NONE and blocks_grow(ledger) < 0:
        return -1
    if ledger.n_hung >= ledger.mask >> 1 and table_double(ledger) < 0:
        return -1
    return 0


cdef inline uint32_t ledger_new_record(Ledger *ledger) noexcept nogil:
    """Take a record that `ledger_reserve` made room for."""
    cdef uint32_t number = ledger.unused
    ledger.unused = ledger.records[number].after
    ledger.n_unused -= 1
    return number


cdef inline void ledger_drop_record(Ledger *ledger, uint32_t number) noexcept:
    """Give back a record that is neither held nor cooling. Needs the GIL."""
    cdef Record *record = &ledger.records[number]
    record_forget(record)
    memset(record, 0, sizeof(Record))
    record.state = UNUSED
    record.after = ledger.unused
    ledger.unused = number
    ledger.n_unused += 1


cdef inline uint32_t ledger_new_block(Ledger *ledger) noexcept nogil:
    """Take a block that `ledger_reserve` made room for; all its numbers are NONE."""
    cdef uint32_t block = ledger.unused_block
    ledger.unused_block = ledger.blocks[block][0]
    memset(ledger.blocks[block], 0xFF, sizeof(ledger.blocks[block]))
    return block


cdef inline void ledger_drop_block(Ledger *ledger, uint32_t block) noexcept nogil:
    ledger.blocks[block][0] = ledger.unused_block
    ledger.unused_block = block


# --- the cooling records ----------------------------------------------------------------


cdef inline bint late_is_before(const Ledger *ledger, uint32_t place,
                                uint32_t other) noexcept nogil:
    """Return whether the record in one place of the heap was released before another's."""
    return (ledger.records[ledger.late[place]].released_ns
            < ledger.records[ledger.late[other]].released_ns)


cdef inline void late_swap(Ledger *ledger, uint32_t place, uint32_t other) noexcept nogil:
    cdef uint32_t number = ledger.late[place], its = ledger.late[other]
    ledger.late[place], ledger.late[other] = its, number
    ledger.records[its].before, ledger.records[number].before = place, other


cdef inline void late_settle(Ledger *ledger, uint32_t place) noexcept nogil:
    """Move the record in a place of the heap up or down to where it belongs."""
    cdef uint32_t child
    while place and late_is_before(ledger, place, (place - 1) // 2):
        late_swap(ledger, place, (place - 1) // 2)
        place = (place - 1) // 2
    while True:
        child = 2 * place + 1
        if child + 1 < ledger.n_late and late_is_before(ledger, child + 1, child):
            child += 1
        if child >= ledger.n_late or not late_is_before(ledger, child, place):
            return
        late_swap(ledger, place, child)
        place = child


cdef inline uint32_t ledger_oldest(const Ledger *ledger) noexcept nogil:
    """Return the cooling record that was released first; NONE where nothing cools."""
    cdef uint32_t late
    if ledger.n_late == 0:
        return ledger.oldest
    late = ledger.late[0]
    if (ledger.oldest == NONE or ledger.records[late].released_ns
            < ledger.records[ledger.oldest].released_ns):
        return late
    return ledger.oldest


cdef inline void ledger_queue(Ledger *ledger, uint32_t number) noexcept nogil:
    """Let a record cool from its time of release on: nearly always as the newest."""
    cdef Record *record = &ledger.records[number]
    cdef uint32_t newest = ledger.newest
    if newest != NONE and ledger.records[newest].released_ns > record.released_ns:
        record.before, record.after = ledger.n_late, LATE
        ledger.late[ledger.n_late] = number
        ledger.n_late += 1
        late_settle(ledger, record.before)
        return
    record.before, record.after = newest, NONE
    if newest == NONE:
        ledger.oldest = number
    else:
        ledger.records[newest].after = number
    ledger.newest = number


cdef inline void ledger_unqueue(Ledger *ledger, uint32_t number) noexcept nogil:
    """Take a record out of those that cool."""
    cdef Record *record = &ledger.records[number]
    cdef uint32_t place = record.before
    if record.after == LATE:
        ledger.n_late -= 1
        if place != ledger.n_late:
            late_swap(ledger, place, ledger.n_late)
            late_settle(ledger, place)
        return
    if record.before == NONE:
        ledger.oldest = record.after
    else:
        ledger.records[record.before].after = record.after
    if record.after == NONE:
        ledger.newest = record.before
    else:
        ledger.records[record.after].before = record.before
