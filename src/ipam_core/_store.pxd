"""The C level of the DataStore, for compiled code that embeds it.

`c_assign` and `c_release` are the whole of a plain call without Python: no object is
made, nothing is raised, no GIL is needed. Whoever calls them holds the store: either
the GIL is held, or `_hold` was called before it was let go, and `_let_go` after.
"""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    N_ENIS = 64
    N_SLOTS = 63
    PER_PREFIX = 16
    LONE = 0      # the kinds of what a slot holds: a secondary IP,
    PREFIX = 1    # a /28 prefix,
    WIDE = 2      # an IPv6 /80 prefix
    N_KINDS = 3
    UNUSED = 0    # the states of a record
    HELD = 1
    COOLING = 2
    COOLED = 3
    DONE = 0      # what the C-level calls answer
    KEPT = 1
    EXHAUSTED = -1
    UNKNOWN = -2
    NO_MEMORY = -3


cdef struct Record:           # one address that is or was held: a cache line
    uint64_t digest[2]        # of the sandbox that holds it
    PyObject *sandbox         # owned while held; NULL where only the digest is known
    PyObject *pod             # owned while held; NULL: not told
    int64_t assigned_ns
    int64_t released_ns       # 0: never
    uint32_t before           # the cooling list; `after` also links unused records
    uint32_t after
    uint32_t offset           # of the address in its prefix
    uint8_t eni
    uint8_t kind
    uint8_t slot
    uint8_t state


cdef struct Lone:             # a slot that holds a secondary IP
    uint32_t base
    uint32_t record


cdef struct Prefix:           # a slot that holds a /28
    uint32_t base
    uint32_t block            # of record numbers
    uint16_t free
    uint16_t used
    uint16_t n_free
    uint16_t n_held           # the rest cools


cdef struct Prefixes:         # what an ENI needs only when it holds /28s
    uint64_t level[PER_PREFIX + 1]
    uint32_t levels
    uint32_t capacity
    Prefix *slot


cdef struct Wide:             # a slot that holds a /80: a window that doubles
    uint64_t high
    uint64_t low
    uint64_t *free
    uint64_t *open            # the words of `free` that are not 0
    uint32_t *record
    uint32_t n_words
    uint32_t hint             # no word of `open` before it is set
    uint32_t n_held
    uint32_t n_cooling


cdef struct Wides:
    uint32_t capacity
    Wide *slot


cdef struct EniSlots:
    PyObject *eni_id
    PyObject *subnet_id
    uint64_t attached[N_KINDS]
    uint64_t open[N_KINDS]
    uint64_t idle[N_KINDS]
    Lone *lone
    Prefixes *prefixes
    Wides *wides
    int64_t created_ns
    uint32_t n_held[N_KINDS]
    uint32_t n_cooling[N_KINDS]
    int32_t device_number
    int32_t network_card
    int32_t route_table
    uint8_t capacity          # of `lone`
    uint8_t rank
    uint8_t primary
    uint8_t trunk
    uint8_t efa
    uint8_t excluded


@cython.final
cdef class Sandbox:
    cdef readonly str container_id, ifname, network
    cdef uint64_t c_digest[2]


@cython.final
cdef class Assignment:
    cdef readonly Sandbox sandbox
    cdef readonly object pod
    cdef readonly str eni_id
    cdef readonly int device_number
    cdef readonly int64_t assigned_ns
    cdef uint64_t c_high, c_low
    cdef int c_kind


@cython.final
cdef class DataStore:
    cdef EniSlots *ports[N_ENIS]
    cdef uint8_t order[N_ENIS]        # ENIs by rank: device number, then order of adding
    cdef uint64_t open_ranks
    cdef int n_enis
    cdef Record *records
    cdef uint32_t n_records           # capacity
    cdef uint32_t n_unused
    cdef uint32_t unused              # list of unused records
    cdef uint32_t *table              # record number + 1 by digest; 0: nothing
    cdef uint32_t mask
    cdef uint32_t n_held
    cdef uint32_t oldest, newest      # cooling records, by time of release
    cdef uint32_t (*blocks)[PER_PREFIX]
    cdef uint32_t n_blocks
    cdef uint32_t n_unused_blocks
    cdef uint32_t unused_block
    cdef int64_t _cooldown_ns
    cdef int kinds                    # a bit for each kind that is assigned from and counted
    cdef int _placement
    cdef uint64_t _random
    cdef dict _by_id
    cdef bint busy
    cdef void *lock

    cdef int _hold(self) except -1
    cdef void _let_go(self) noexcept
    cdef int c_assign(self, const uint64_t *digest, int64_t now_ns,
                      uint32_t *number) noexcept nogil
    cdef int c_release(self, const uint64_t *digest, int64_t now_ns,
                       uint32_t *number) noexcept nogil
    cdef int c_reserve(self, uint32_t n) noexcept nogil
    cdef void _c_high_low(self, uint32_t number, uint64_t *high, uint64_t *low) noexcept nogil

    cdef int _wait(self) except -1
    cdef _set_excluded(self, str eni_id, bint excluded)
    cdef object _eni(self, int handle)
    cdef int _handle(self, str eni_id) except -1
    cdef void _c_rank(self) noexcept
    cdef void _c_refresh(self, int handle) noexcept nogil
    cdef int _attach(self, str eni_id, int kind, uint64_t high, uint64_t low,
                     str text) except -1
    cdef bint _c_is_taken(self, int kind, uint64_t high, uint64_t low) noexcept nogil
    cdef list _detach(self, str eni_id, int kind, uint64_t high, uint64_t low, str text,
                      bint force)
    cdef int _note_lost(self, int handle, int kind, int slot, list lost) except -1
    cdef void _c_empty_slot(self, EniSlots *eni, int kind, int slot) noexcept
    cdef void _c_drop_record(self, uint32_t number, EniSlots *eni) noexcept
    cdef list _listed(self, str eni_id, bint of_prefixes, bint only_idle, bint cooling,
                      object now_ns)
    cdef Py_ssize_t _n_missing(self, const uint64_t[:, ::1] wanted) except -1
    cdef Py_ssize_t _c_first_unknown(self, const uint64_t[:, ::1] wanted,
                                     uint32_t[::1] numbers) noexcept nogil
    cdef int64_t _c_n_assignable(self) noexcept nogil
    cdef uint32_t _c_take(self, int handle, int kind, int slot, uint32_t offset,
                          const uint64_t *digest, uint32_t position,
                          int64_t now_ns) noexcept nogil
    cdef void _c_let_cool(self, uint32_t position, int64_t now_ns) noexcept nogil
    cdef void _c_cool(self, uint32_t number, int64_t released_ns) noexcept nogil
    cdef void _c_cool_closed(self, uint32_t number, int64_t released_ns) noexcept nogil
    cdef void _c_expire(self, int64_t now_ns) noexcept nogil
    cdef object _exhausted(self, int64_t now_ns)
    cdef int _own(self, uint32_t number, Sandbox sandbox, str pod) except -1
    cdef Assignment _assignment(self, uint32_t number)
    cdef int _c_choose_eni(self) noexcept nogil
    cdef int64_t _c_n_free(self, EniSlots *eni) noexcept nogil
    cdef int _c_choose_kind(self, EniSlots *eni) noexcept nogil
    cdef int _c_choose_slot(self, EniSlots *eni, int kind) noexcept nogil
    cdef int64_t _c_choose_offset(self, EniSlots *eni, int kind, int slot) noexcept nogil
    cdef int _c_below(self, int n) noexcept nogil
    cdef int _reserve(self, uint32_t n) except -1
    cdef int _c_rehash(self, uint32_t size) noexcept nogil
    cdef uint32_t _c_record_for(self, int handle, int kind, int slot,
                                uint32_t offset) noexcept nogil
    cdef uint32_t _c_record_at(self, int handle, int kind, int slot,
                               uint32_t offset) noexcept nogil
    cdef int _locate(self, str text, int family, uint64_t high, uint64_t low, int *handle,
                     int *kind, int *slot, uint32_t *offset) except -1
    cdef bint _c_locate(self, int family, uint64_t high, uint64_t low, int *handle, int *kind,
                        int *slot, uint32_t *offset) noexcept nogil
    cdef int _widen(self, int handle, int slot, uint32_t offset) except -1
    cdef uint32_t _c_probe(self, const uint64_t *digest) noexcept nogil
    cdef uint32_t _c_find(self, const uint64_t *digest) noexcept nogil
    cdef void _c_hang(self, uint32_t number, uint32_t position) noexcept nogil
    cdef void _c_unhang(self, uint32_t hole) noexcept nogil
    cdef void _c_queue(self, uint32_t number) noexcept nogil
    cdef void _c_unqueue(self, uint32_t number) noexcept nogil
    cdef object _stats(self, int64_t now_ns, int network_card)
    cdef int64_t _c_total(self, EniSlots *eni) noexcept nogil
    cdef int64_t _c_sum(self, uint32_t *counts) noexcept nogil
    cdef str _why_kept(self, EniSlots *eni, int64_t born_by, int64_t warm_ip,
                       int64_t minimum_ip, int64_t warm_prefix, int64_t n_free, int64_t total,
                       int64_t n_prefixes)
    cdef _fill(self, dict state)
    cdef _check_ranks(self)
    cdef dict _check_records(self)
    cdef _check_slots(self, dict states)
    cdef _check_slot(self, EniSlots *eni, int handle, int kind, int slot, dict states,
                     dict totals)
    cdef _check_wide(self, Wide *wide)
    cdef _check_table(self)
    cdef _check_cooling(self)
