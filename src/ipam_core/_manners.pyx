"""A store as Python's own containers are: length, membership, copies, pickles.

A base class of the DataStore for what is called once in a while.
"""

from cpython.unicode cimport PyUnicode_Check
from libc.stdint cimport uint64_t

from ipam_core._arguments cimport most_ns
from ipam_core._placing cimport store_assign_from, store_free_slots
from ipam_core._pods cimport counts_of, store_assignments, store_find
from ipam_core._pool cimport ARBITRARY, Place, pool_locate
from ipam_core._saved cimport state_of
from ipam_core._shared cimport Shared
from ipam_core._slots cimport IPV6_PREFIX, SECONDARY_IP
from ipam_core._text cimport given_text, read_address, read_prefix
from ipam_core._values cimport Assignment, PoolStats, Sandbox

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from ipam_core.html import html_of

_OBJECTS = (IPv4Address, IPv6Address, IPv4Network, IPv6Network)


cdef bint holds_cidr(Shared store, str text) except -1:
    """Return whether an address is attached, singly or in a prefix, or a prefix as it is."""
    cdef Place place
    cdef uint64_t high, low
    cdef int kind, family
    try:
        if "/" in text:
            read_prefix(text, &kind, &high, &low)
            family = IPV6_PREFIX if kind == IPV6_PREFIX else SECONDARY_IP
        else:
            read_address(text, &family, &high, &low)
            kind = -1
    except ValueError:
        return False
    store.wait()
    if not pool_locate(&store.pool, family, high, low, &place):
        return False
    return kind < 0 or place.kind == kind


cdef dict compared(Shared store):
    """Return what makes a store equal to another: all that decides its answers."""
    cdef dict state = state_of(store)
    if store.pool.placement != ARBITRARY:
        del state["random"], state["maps"]
    return state


cdef class Manners(Shared):
    """A store as Python's own containers are."""

    def __repr__(self):
        cdef PoolStats counts
        self.wait()
        counts = counts_of(self, -most_ns(), -1)
        return (f"DataStore({self.mode!r}, placement={self.placement!r}: {counts.enis} ENIs, "
                f"{counts.total} addresses, {counts.assigned} assigned, "
                f"{counts.cooling} cooling)")

    def _repr_html_(self):
        """Return the counts and the ENIs, for notebooks."""
        return html_of(repr(self), ("ENI", "device", "addresses", "assigned", "cooling"), [
            (eni.eni_id, eni.device_number, stats.total, stats.assigned, stats.cooling)
            for eni in (<object> self).enis()
            for stats in [(<object> self).eni_stats(eni.eni_id, 1 - most_ns())]])

    def __len__(self):
        """Return how many assignments there are. Cost: constant."""
        self.wait()
        return self.pool.records.n_in_table

    def __bool__(self):
        """Return True: a store without pods is a store."""
        return True

    def __iter__(self):
        """Iterate over the present assignments. Cost: O(records)."""
        return iter(store_assignments(self))

    def __contains__(self, item):
        """Return whether an ENI, an address or prefix, or a sandbox's assignment is here.

        Texts are ENI ids, addresses and prefixes; an address is here if it is attached, singly
        or in a prefix. Raises `TypeError` for anything else. Cost: constant for ENIs and
        sandboxes; one pass over the slots for addresses.
        """
        if isinstance(item, Sandbox):
            return store_find(self, <Sandbox> item) is not None
        if isinstance(item, Assignment):
            return store_find(self, (<Assignment> item).sandbox) == item
        if PyUnicode_Check(item):
            return item in self._numbers or (
                ("." in item or ":" in item) and holds_cidr(self, given_text(item)))
        if isinstance(item, _OBJECTS):
            return holds_cidr(self, given_text(item))
        raise TypeError(f"{item!r} in a DataStore: give a Sandbox, an Assignment, an ENI id, an "
                        "address or a prefix")

    def __eq__(self, other):
        if type(other) is not type(self):
            return NotImplemented
        return self is other or compared(self) == compared(<Shared> other)

    def copy(self):
        """Return a separate store in the same state. Cost: that of `snapshot` and `restore`."""
        return type(self).restore((<object> self).snapshot())

    def __copy__(self):
        return (<object> self).copy()

    def __deepcopy__(self, memo):
        return (<object> self).copy()

    def __reduce__(self):
        if not self.pool.kinds:
            raise TypeError("a DataStore that was not made cannot be pickled")
        return type(self).restore, ((<object> self).snapshot(),)

    # --- placements of a caller's own -----------------------------------------------------

    def free_slots(self, now_ns=None):
        """Return the slots that can give an address now: what a placement chooses from.

        A list of `FreeSlot`, by ENI, lowest device number first. Cost: O(slots).
        """
        return store_free_slots(self, now_ns)

    def assign_from(self, cidr, Sandbox sandbox not None, pod=None, now_ns=None):
        """Assign an address out of one slot: a secondary IP, or a prefix's lowest free address.

        A sandbox that has an address keeps it. Raises `UnknownAddressError` if the store
        assigns from no such slot; `AddressInUseError` if the slot has no free address, or its
        ENI is excluded; `ValueError` if it is neither an address nor a prefix. Cost: one pass
        over the store's slots.
        """
        return store_assign_from(self, cidr, sandbox, pod, now_ns)
