/* The least that a batch of pairs can cost: a stack of free addresses and an open hash of
   16-byte keys. No cooldown, no prefixes, no ENIs, nothing checked. */

#include <stdint.h>
#include <stdlib.h>

typedef struct {
    uint64_t high, low, address;
} entry;

static entry *table;
static uint64_t mask;
static uint64_t *stack;
static long top;

static uint64_t home(uint64_t high, uint64_t low) {
    unsigned __int128 wide = (unsigned __int128)(high ^ 0x9e3779b97f4a7c15) * (low | 1);
    return (uint64_t)(wide >> 64) ^ (uint64_t)wide;
}

int floor_begin(long n_addresses) {
    mask = 1;
    while (mask < 2 * (uint64_t)n_addresses) mask *= 2;
    table = calloc(mask, sizeof *table);
    stack = malloc(n_addresses * sizeof *stack);
    if (table == NULL || stack == NULL) return -1;
    mask -= 1;
    for (top = 0; top < n_addresses; top++) stack[top] = 0x0a000000 + top;
    return 0;
}

void floor_assign(const uint64_t *digests, long n, uint64_t *addresses) {
    for (long row = 0; row < n; row++) {
        uint64_t high = digests[2 * row], low = digests[2 * row + 1];
        uint64_t at = home(high, low) & mask;
        while (table[at].address) at = (at + 1) & mask;
        table[at] = (entry){high, low, stack[--top]};
        addresses[2 * row] = 0;
        addresses[2 * row + 1] = table[at].address;
    }
}

void floor_release(const uint64_t *digests, long n, uint64_t *addresses) {
    for (long row = 0; row < n; row++) {
        uint64_t high = digests[2 * row], low = digests[2 * row + 1];
        uint64_t hole = home(high, low) & mask;
        while (table[hole].high != high || table[hole].low != low) hole = (hole + 1) & mask;
        addresses[2 * row] = 0;
        addresses[2 * row + 1] = stack[top++] = table[hole].address;
        for (uint64_t at = (hole + 1) & mask; table[at].address; at = (at + 1) & mask) {
            uint64_t from = home(table[at].high, table[at].low) & mask;
            if (((at - from) & mask) >= ((at - hole) & mask)) {
                table[hole] = table[at];
                hole = at;
            }
        }
        table[hole] = (entry){0, 0, 0};
    }
}
