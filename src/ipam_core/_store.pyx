"""The DataStore (docs/core.md has its layout and the cost of each operation).

One class, and nothing but its interface: each method calls a C function of the part that does
the work. `_enis` and `_attached` have what is attached, `_pods` and `_batches` who holds what,
`_questions` what the pool's rules ask, `_saved` the complete state as bytes, `_shared` the lock
and the clock. The methods are in this class itself, because CPython calls a method faster if
the class that has it is the class of the object: it takes a fifth of the time of an assign.
"""

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from ipam_core._assign cimport pool_assign, pool_release
from ipam_core._attached cimport (
    store_add_address,
    store_add_prefix,
    store_freeable_cidrs,
    store_remove_address,
    store_remove_prefix,
    texts_of,
)
from ipam_core._batches cimport store_assign_many, store_release_many
from ipam_core._enis cimport (
    check_ids,
    set_excluded,
    store_add_eni,
    store_eni,
    store_enis,
    store_remove_eni,
    store_turns,
)
from ipam_core._invariants cimport check_invariants
from ipam_core._manners cimport Manners
from ipam_core._pods cimport (
    store_adopt,
    store_assign,
    store_assignments,
    store_cool,
    store_find,
    store_find_address,
    store_release,
    store_try_assign,
    store_try_release,
    store_unassign,
    store_used_addresses,
)
from ipam_core._pool cimport ALREADY, DONE, pool_address
from ipam_core._questions cimport (
    store_assignment_ages_ns,
    store_eni_stats,
    store_find_freeable_eni,
    store_free_counts,
    store_growable_enis,
    store_next_cool_ns,
    store_stats,
)
from ipam_core._saved cimport load_state, store_snapshot
from ipam_core._slots cimport IPV6_PREFIX, PREFIX, SECONDARY_IP
from ipam_core._text cimport plain_text
from ipam_core._values cimport Sandbox

import ipam_core._values as values
from ipam_core._snapshot import unseal
from ipam_core.errors import IpamError, SnapshotError

# A cimported type is not an attribute of the module by itself.
globals().update({name: getattr(values, name) for name in values.__all__})


@cython.final
cdef class DataStore(Manners):
    """DataStore(mode='secondary-ip', *, cooldown_s=30, placement='pack', seed=0, \
given_time=False)\n--\n\n\
    One network card's ENIs, their addresses, and the sandboxes that hold them.

    `mode` says which kinds are assigned from and counted: "secondary-ip", "prefix", "mixed"
    (both; prefixes first) or "ipv6"; attached addresses of another kind drain. A released
    address cools for `cooldown_s` seconds and is assigned again only after a longer time.
    `placement` chooses the address: "pack" (lowest device number, there the fullest prefix,
    there the lowest address), "first" (lowest device number, slot and address), "spread" (the
    ENI with most free, there as "first") or "arbitrary" (as the real agent, whose walks over
    Go's maps favour some ENIs and slots; by `seed`; in a prefix one that has cooled before the
    lowest never used; pool-rules sections 3 and 9).

    `now_ns` is monotonic nanoseconds, and may be left out of every call: the coarse
    monotonic clock is read then. A time more than a minute ahead of that clock raises
    `ValueError`: it is of another clock, and an address released then would cool for years.
    With `given_time` any time is accepted, for simulations. Time must not go back: an address
    that has cooled stays free. All calls may come from several threads. A call that raises
    leaves the store as it was, except that addresses whose cooldown is over become free. In a
    process forked in the middle of a batch every call raises `ForkedError`.

    `len` counts assignments, and a store is iterated over as they are. An ENI id, an address,
    a prefix, a sandbox or an assignment may be `in` it. Stores are equal whose complete state
    is. They can be copied and pickled, by their snapshots, and not hashed.
    """

    # --- ENIs -----------------------------------------------------------------------------

    def add_eni(self, eni_id, *, device_number, network_card=0, bint primary=False,
                bint trunk=False, bint efa=False, bint excluded=False, created_ns=None,
                subnet_id="", route_table=0):
        """Add an ENI without addresses.

        `created_ns` is when it came, on the monotonic clock; `find_freeable_eni` uses it. An
        `excluded` ENI gives no address and counts in no address statistic.

        Raises `DuplicateError`; beyond 64 ENIs `CapacityError`. Cost: O(ENIs).
        """
        store_add_eni(self, eni_id, device_number, network_card, primary, trunk, efa, excluded,
                      created_ns, subnet_id, route_table)

    def remove_eni(self, eni_id, *, bint force=False):
        """Remove an ENI and all its addresses; return the assignments that were lost with it.

        Raises `UnknownEniError`; without `force` `AddressInUseError` if sandboxes hold
        addresses of it. Cost: O(its slots and records).
        """
        return store_remove_eni(self, eni_id, force)

    def exclude_eni(self, eni_id):
        """Exclude an ENI from assignment and from every address statistic; its pods stay.

        Raises `UnknownEniError`. Cost: constant.
        """
        set_excluded(self, plain_text(eni_id, "eni_id"), True)

    def include_eni(self, eni_id):
        """Include an excluded ENI again. Raises `UnknownEniError`. Cost: constant."""
        set_excluded(self, plain_text(eni_id, "eni_id"), False)

    def eni(self, eni_id):
        """Return the facts about an ENI. Raises `UnknownEniError`. Cost: constant."""
        return store_eni(self, eni_id)

    def enis(self):
        """Return all ENIs, lowest device number first. Cost: O(ENIs)."""
        return store_enis(self)

    def turns(self, *, bint copied=False):
        """Return the ids of all ENIs in the order of the agent's rules.

        Under `arbitrary` that is one walk of a Go map, by the seed; `copied`: of a copy of the
        map. Else lowest device number first. Cost: O(ENIs).
        """
        return store_turns(self, copied)

    # --- secondary IPs and prefixes -------------------------------------------------------

    def add_address(self, eni_id, address):
        """Attach a secondary IPv4 address to an ENI.

        Addresses and prefixes are texts or objects of the `ipaddress` module, here and
        in every other call.

        Raises `UnknownEniError`; `DuplicateError` if it is already attached or inside an
        attached prefix; beyond 63 slots `CapacityError`; `ValueError` if it is not an IPv4
        address. Cost: one pass over the store's slots.
        """
        store_add_address(self, eni_id, address)

    def add_prefix(self, eni_id, prefix):
        """Attach an IPv4 /28 or an IPv6 /80 to an ENI. Raises and costs as `add_address`."""
        store_add_prefix(self, eni_id, prefix)

    def remove_address(self, eni_id, address, *, bint force=False):
        """Detach a secondary IP; return the assignment that was lost with it, in a list.

        Raises `UnknownEniError`, `UnknownAddressError`; without `force` `AddressInUseError` if
        a sandbox holds it. Cost: one pass over the ENI's slots.
        """
        return store_remove_address(self, eni_id, address, force)

    def remove_prefix(self, eni_id, prefix, *, bint force=False):
        """Detach a prefix; return the assignments that were lost with it. As `remove_address`."""
        return store_remove_prefix(self, eni_id, prefix, force)

    def addresses(self, eni_id):
        """Return an ENI's secondary IPs, by slot: O(slots). Raises `UnknownEniError`."""
        return texts_of(self, eni_id, 1 << SECONDARY_IP, False, True, None)

    def prefixes(self, eni_id):
        """Return an ENI's prefixes, by slot: O(slots). Raises `UnknownEniError`."""
        return texts_of(self, eni_id, 1 << PREFIX | 1 << IPV6_PREFIX, False, True, None)

    def freeable_addresses(self, eni_id, *, bint cooling=True, now_ns=None):
        """Return an ENI's secondary IPs without a pod; unless `cooling`, none cooling. O(slots)."""
        return texts_of(self, eni_id, 1 << SECONDARY_IP, True, cooling, now_ns)

    def freeable_prefixes(self, eni_id, *, bint cooling=True, now_ns=None):
        """Return an ENI's prefixes without a pod; unless `cooling`, none partly so. O(slots)."""
        return texts_of(self, eni_id, 1 << PREFIX | 1 << IPV6_PREFIX, True, cooling, now_ns)

    def freeable_cidrs(self, eni_id, *, bint cooling=True, now_ns=None):
        """Return an ENI's secondary IPs and /28s without a pod; `cooling` as above.

        In the order in which the agent takes them: as `turns`; without a map /28s first.
        """
        return store_freeable_cidrs(self, eni_id, cooling, now_ns)

    # --- pods -----------------------------------------------------------------------------

    def assign(self, Sandbox sandbox not None, pod=None, now_ns=None):
        """Assign an address to a sandbox (`AllocateNext` of Kubernetes); one that has it keeps it.

        `pod` is "namespace/name", or any text to be kept with the assignment. If only the
        digest of the holder is known, as after `assign_many`, the assignment takes these
        names. Raises `PoolExhaustedError` if no address can be given now. Cost: constant.
        Source: pool-rules section 3.
        """
        return store_assign(self, sandbox, pod, now_ns)

    def try_assign(self, Sandbox sandbox not None, pod=None, now_ns=None):
        """Do as `assign`, but return None if no address can be given now: ten times as fast."""
        return store_try_assign(self, sandbox, pod, now_ns)

    def adopt(self, Sandbox sandbox not None, address, pod=None, now_ns=None, *,
              bint beside=False):
        """Assign a given address (Kubernetes' `Allocate`), cooling or not: used by a restart.

        Raises `UnknownAddressError` if it is not attached; `AddressInUseError` if another
        sandbox holds it; `DuplicateError` if the sandbox holds another, unless with `beside`
        it keeps both, as a checkpoint may have it: a release then ends one; `CapacityError`
        beyond the first 65,536 of an IPv6 prefix. Cost: one pass over the store's slots.
        """
        return store_adopt(self, sandbox, address, pod, now_ns, beside)

    def cool(self, address, released_ns):
        """Let a free address cool from `released_ns` on: used by a restart.

        If the cooldown is already over, the address stays free. Raises `UnknownAddressError`,
        `CapacityError` as `adopt`; `AddressInUseError` if it is held or cooling. Cost: one
        pass over the store's slots.
        """
        store_cool(self, address, released_ns)

    def release(self, Sandbox sandbox not None, now_ns=None):
        """Release what a sandbox holds (Kubernetes' `Release`), let it cool, and return it.

        In a store without a cooldown (`cooldown_s=0`) the address is free at once. Raises
        `UnknownSandboxError` if the sandbox holds nothing. Cost: constant; O(log n) if
        `now_ns` is before that of another release.
        """
        return store_release(self, sandbox, now_ns)

    def try_release(self, Sandbox sandbox not None, now_ns=None):
        """Do as `release`, but return None if the sandbox holds nothing."""
        return store_try_release(self, sandbox, now_ns)

    def unassign(self, Sandbox sandbox not None):
        """Take back an assignment that was not reported yet: its address does not cool.

        It can be given again at once; `used_addresses` lists it as cooled at the time when it
        was assigned. Returns what the sandbox held. Raises `UnknownSandboxError` if it holds
        nothing. Cost: constant.
        """
        return store_unassign(self, sandbox)

    def find(self, Sandbox sandbox not None):
        """Return what a sandbox holds, or None. Cost: constant."""
        return store_find(self, sandbox)

    def find_address(self, address):
        """Return the assignment of an address, or None. Cost: one pass over the slots."""
        return store_find_address(self, address)

    def assignments(self):
        """Return an iterator over the present assignments. Cost: O(records)."""
        return iter(store_assignments(self))

    def used_addresses(self, eni_id):
        """Return an ENI's addresses that are or were held or cooling, in address order.

        The agent's /v1/enis endpoint lists the same. Raises `UnknownEniError`. Cost: O(the
        ENI's addresses).
        """
        return store_used_addresses(self, eni_id)

    # --- pods by their digests ------------------------------------------------------------

    cdef int c_assign(self, const uint64_t *digest, int64_t now_ns,
                      uint64_t *address) noexcept nogil:
        """Assign to a digest; see _store.pxd. Changes `address` only on DONE and ALREADY."""
        cdef uint32_t number
        cdef int answer = pool_assign(&self.pool, digest, now_ns, &number)
        if answer == DONE or answer == ALREADY:
            pool_address(&self.pool, number, &address[0], &address[1])
        return answer

    cdef int c_release(self, const uint64_t *digest, int64_t now_ns,
                       uint64_t *address) noexcept nogil:
        """Release what a digest holds; see _store.pxd. Changes `address` only on DONE."""
        cdef uint32_t number
        cdef int answer = pool_release(&self.pool, digest, now_ns, &number)
        if answer == DONE:
            pool_address(&self.pool, number, &address[0], &address[1])
        return answer

    def assign_many(self, digests not None, now_ns=None, *, bint partial=False):
        """Assign an address to each of n sandboxes; many rows without the GIL.

        `digests` is (n, 2) uint64, each row a sandbox's digest (`Sandbox.digest`): an array of
        NumPy, or without NumPy any other object with a buffer, of such words or of 16 bytes a
        row. Returns (n, 2) uint64, each address as its high and low 64 bits: an array of NumPy
        for one, else an `array.array` of 2 n words. Sandboxes that hold an address keep it. With
        `partial`, rows without an address are all ones; without, `PoolExhaustedError` is raised
        if there are not enough, and none is assigned. After a `MemoryError` the rows before it
        hold their addresses. Raises `TypeError` and `ValueError` for anything else than rows.
        Cost: constant a row.
        """
        return store_assign_many(self, digests, now_ns, partial)

    def release_many(self, digests not None, now_ns=None, *, bint partial=False):
        """Release what each of n sandboxes holds; many rows without the GIL.

        `digests` and the result are as in `assign_many`. With `partial`, rows of sandboxes
        that hold nothing are all ones; without, `UnknownSandboxError` names the first of
        these, or the first that is repeated, and none is released. Cost: constant a row.
        """
        return store_release_many(self, digests, now_ns, partial)

    # --- questions ------------------------------------------------------------------------

    def stats(self, now_ns=None, network_card=None):
        """Return the counts of all ENIs, or of one network card's. Cost: O(ENIs)."""
        return store_stats(self, now_ns, network_card)

    def eni_stats(self, eni_id, now_ns=None):
        """Return one ENI's counts, excluded or not. Raises `UnknownEniError`. Cost: constant."""
        return store_eni_stats(self, eni_id, now_ns)

    def next_cool_ns(self, now_ns=None):
        """Return when the next cooldown is over, None if nothing cools. Cost: constant."""
        return store_next_cool_ns(self, now_ns)

    def growable_enis(self, int max_slots):
        """Return the ENIs, not excluded, with fewer than `max_slots` slots in use: O(ENIs)."""
        return store_growable_enis(self, max_slots)

    def find_freeable_eni(self, *, warm_ip, minimum_ip, warm_prefix, double min_age_s=60,
                          now_ns=None):
        """Find an ENI that can be freed under these targets, and why each other cannot.

        In prefix mode the first two are rounded up to full prefixes, and only there does
        `warm_prefix` count: each prefix or secondary IP without a pod on the other ENIs that
        are not excluded meets one; targets of 0 and below ask for nothing. The answer is the
        first candidate of a walk under `arbitrary` (see `turns`), else the one with the
        highest device number. Cost: O(ENIs). Source: pool-rules section 5.3; getDeletableENI
        of pkg/ipamd/datastore/data_store.go.
        """
        return store_find_freeable_eni(self, warm_ip, minimum_ip, warm_prefix, min_age_s, now_ns)

    def free_counts(self, now_ns=None):
        """Return how many addresses each slot of the mode's own kinds can give now.

        uint32, by ENI (lowest device number first), then as `addresses` and `prefixes`
        list them. Cost: O(slots).
        """
        return store_free_counts(self, now_ns)

    def assignment_ages_ns(self, now_ns=None):
        """Return how long ago each assignment was made, int64, in the order of `assignments`.

        Cost: O(records).
        """
        return store_assignment_ages_ns(self, now_ns)

    # --- the complete state ---------------------------------------------------------------

    def snapshot(self):
        """Return the complete state as bytes, cooldowns included; `restore` reads it.

        Times are kept as they are, on the monotonic clock. Cost: one pass.
        """
        return store_snapshot(self)

    @classmethod
    def restore(cls, bytes snapshot not None):
        """Return the store of a snapshot.

        Times that are ahead of the monotonic clock, as after a restart of the machine, count
        as now: nothing cools for more than a full period. In a store of `given_time`, and if
        the snapshot does not say, they stay. Raises `SnapshotError` if it is no snapshot, is
        damaged, or is of another version. Cost: one pass.
        """
        cdef DataStore store
        state = unseal(snapshot)
        try:
            store = DataStore(state["mode"], placement=state["placement"],
                              given_time=state.get("given_time", True))
            load_state(store, state)
        except (KeyError, TypeError, ValueError, OverflowError, IpamError) as error:
            raise SnapshotError(f"the snapshot does not hold a store: {error}") from error
        return store

    def _check(self):
        """Check every invariant from scratch; `AssertionError` names the one that is broken."""
        self.wait()
        check_ids(self)
        check_invariants(&self.pool)
