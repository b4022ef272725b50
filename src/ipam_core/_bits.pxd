"""Bit primitives shared by the compiled modules: all inline, none raises.

A `BitSet` holds numbers from 0 to 4,095 in two levels, 64 words and a word that shows which of
them are not empty, so that its lowest is found in two steps of find-first-set:

    top      ...0101         word 0 and word 2 hold something
                | |
    word[2] ...1   word[0] ...11
"""

from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #include <assert.h>    /* a Debug build checks what must hold */
    #if defined(_MSC_VER) && !defined(__clang__)
    #include <intrin.h>
    static __inline int ipam_first_set(uint64_t word) {
        unsigned long at = 0;
        assert(word != 0);
        _BitScanForward64(&at, word);
        return (int) at;
    }
    static __inline int ipam_last_set(uint64_t word) {
        unsigned long at = 0;
        assert(word != 0);
        _BitScanReverse64(&at, word);
        return (int) at;
    }
    static __inline int ipam_popcount(uint64_t word) { return (int) __popcnt64(word); }
    static __inline uint64_t ipam_mix(uint64_t one, uint64_t other) {
        uint64_t high, low = _umul128(one, other, &high);
        return low ^ high;
    }
    #else
    static inline int ipam_first_set(uint64_t word) {
        assert(word != 0);
        return __builtin_ctzll(word);
    }
    static inline int ipam_last_set(uint64_t word) {
        assert(word != 0);
        return 63 - __builtin_clzll(word);
    }
    #if defined(__x86_64__) && !defined(__POPCNT__)    /* the compiler would call a function */
    static inline int ipam_popcount(uint64_t word) {
        word -= word >> 1 & 0x5555555555555555;
        word = (word & 0x3333333333333333) + (word >> 2 & 0x3333333333333333);
        word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0f;
        return (int) (word * 0x0101010101010101 >> 56);
    }
    #else
    static inline int ipam_popcount(uint64_t word) { return __builtin_popcountll(word); }
    #endif
    static inline uint64_t ipam_mix(uint64_t one, uint64_t other) {
        unsigned __int128 product = (unsigned __int128) one * other;
        return (uint64_t) product ^ (uint64_t) (product >> 64);
    }
    #endif
    static inline uint64_t ipam_bit(int position) {
        assert(position >= 0 && position < 64);
        return (uint64_t) 1 << position;
    }
    """
    int ipam_first_set(uint64_t word) noexcept nogil
    int ipam_last_set(uint64_t word) noexcept nogil
    int ipam_popcount(uint64_t word) noexcept nogil
    uint64_t ipam_bit(int position) noexcept nogil
    uint64_t mix "ipam_mix"(uint64_t one, uint64_t other) noexcept nogil
    # The two halves of the product, combined by XOR: each bit depends on both words.


cdef struct BitSet:
    uint64_t top
    uint64_t word[64]


cdef inline int first_set(uint64_t word) noexcept nogil:
    """Return the lowest set bit's position; `word` must not be 0 (undefined)."""
    return ipam_first_set(word)


cdef inline int last_set(uint64_t word) noexcept nogil:
    """Return the highest set bit's position; `word` must not be 0 (undefined)."""
    return ipam_last_set(word)


cdef inline int popcount(uint64_t word) noexcept nogil:
    """Return how many bits are set."""
    return ipam_popcount(word)


cdef inline uint64_t bit(int position) noexcept nogil:
    """Return the word with one bit set; `position` is from 0 to 63."""
    return ipam_bit(position)


cdef inline uint64_t put(uint64_t word, int position, bint is_set) noexcept nogil:
    """Return `word` with one bit set or cleared; `position` is from 0 to 63."""
    return word & ~bit(position) | <uint64_t> is_set << position


cdef inline int nth_set(uint64_t word, int n) noexcept nogil:
    """Return the position of the n-th set bit from below, from 0; it must exist."""
    while n:
        word &= word - 1
        n -= 1
    return first_set(word)


cdef inline void bitset_put(BitSet *numbers, int number, bint is_in) noexcept nogil:
    """Add a number to the set, or remove it."""
    cdef uint64_t *word = &numbers.word[number >> 6]
    word[0] = put(word[0], number & 63, is_in)
    numbers.top = put(numbers.top, number >> 6, word[0] != 0)


cdef inline int bitset_lowest(const BitSet *numbers) noexcept nogil:
    """Return the lowest number; the set must not be empty (undefined)."""
    cdef int high = first_set(numbers.top)
    return high << 6 | first_set(numbers.word[high])
