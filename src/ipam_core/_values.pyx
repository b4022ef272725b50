"""The values that a DataStore takes and returns: immutable, compared by content.

Most are outside the garbage collector (`no_gc`): they hold only strings and numbers, so they
are in no cycle, and making one never starts a collection, which could run any code while a
store is being read.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyObject_Free
from cpython.object cimport PyTypeObject
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from ipam_core._bits cimport mix
from ipam_core._text cimport address_text, plain_text, prefix_text

import hashlib
from functools import partial

__all__ = ["Assignment", "Eni", "EniStats", "FreeEniAnswer", "FreeSlot", "PoolStats",
           "Sandbox", "UsedAddress"]


cdef tuple reduced(object value):
    """Return what pickle needs to make a value again: its constructor, which reads every field."""
    fields = {name: getattr(value, name) for name in type(value).__dataclass_fields__}
    return partial(type(value), **fields), ()


cdef uint64_t FIXED = <uint64_t> 0x9E3779B97F4A7C15    # any bits; the same in every process


@cython.final
@cython.no_gc
cdef class Sandbox:
    """Sandbox(container_id, ifname='eth0', network='aws-cni')\n--\n\n\
    A pod's network sandbox: (network, container id, interface), immutable.

    Its 128-bit digest (BLAKE2b of the three, joined by NUL) is made once; two sandboxes are
    equal when their digests are. Raises `ValueError` if a part holds a NUL.
    """

    def __init__(self, container_id, ifname="eth0", network="aws-cni"):
        cdef bytes digest
        cdef str container = plain_text(container_id, "container_id")
        cdef str interface = plain_text(ifname, "ifname"), net = plain_text(network, "network")
        joined = f"{net}\0{container}\0{interface}"
        if joined.count("\0") != 2:
            raise ValueError(f"no NUL in a sandbox's names: {joined!r}")
        digest = hashlib.blake2b(
            joined.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if self.container_id is not None:
            raise TypeError(f"{self!r} cannot be changed")
        memcpy(self.c_digest, <const char*> digest, 16)
        self.container_id, self.ifname, self.network = container, interface, net
        self.c_named = True

    @staticmethod
    def from_digest(bytes digest not None):
        """Return a sandbox of which only the 16 bytes of its digest are known.

        It equals the sandbox with names; its own three names are empty.
        """
        return sandbox_from(digest)

    @property
    def digest(self):
        """The 16 bytes by which a batch names it: two words in the machine's byte order."""
        return PyBytes_FromStringAndSize(<char*> self.c_digest, 16)

    def __hash__(self):
        return <Py_hash_t> mix(self.c_digest[0] ^ FIXED, self.c_digest[1] ^ FIXED >> 1)

    def __eq__(self, other):
        if type(other) is not Sandbox:
            return NotImplemented
        return (self.c_digest[0] == (<Sandbox> other).c_digest[0]
                and self.c_digest[1] == (<Sandbox> other).c_digest[1])

    def __repr__(self):
        if not self.c_named:
            return f"Sandbox.from_digest({self.digest!r})"
        return (f"Sandbox({self.container_id!r}, ifname={self.ifname!r}, "
                f"network={self.network!r})")

    def __reduce__(self):
        if not self.c_named:
            return sandbox_from, (self.digest,)
        return Sandbox, (self.container_id, self.ifname, self.network)


def sandbox_from(bytes digest not None):
    """Return the sandbox of a digest: `Sandbox.from_digest`, under a name that pickle finds."""
    if len(digest) != 16:
        raise ValueError(f"a digest has 16 bytes, not {len(digest)}")
    return sandbox_of(<const uint64_t*> <const char*> digest)


cdef Sandbox sandbox_of(const uint64_t *digest):
    """Return a sandbox of which only the digest is known; runs no Python code."""
    cdef Sandbox value = Sandbox.__new__(Sandbox)
    value.container_id = value.ifname = value.network = ""
    memcpy(value.c_digest, digest, 16)
    return value


@cython.final
@cython.no_gc
cdef class Assignment:
    """One address held by one sandbox; its texts are made when asked for."""

    @property
    def address(self):
        """The address as text."""
        return address_text(self.c_kind, self.c_high, self.c_low)

    @property
    def prefix(self):
        """The prefix of the address as text; None: a secondary IP."""
        return prefix_text(self.c_kind, self.c_high, self.c_low)

    cdef tuple key(self):
        return (self.sandbox, self.pod, self.c_high, self.c_low, self.eni_id, self.assigned_ns)

    def __eq__(self, other):
        if type(other) is not Assignment:
            return NotImplemented
        return self.key() == (<Assignment> other).key()

    def __hash__(self):
        return hash(self.key())

    def __reduce__(self):
        return assignment_from, (
            self.sandbox, self.pod, self.eni_id, self.device_number, self.assigned_ns,
            self.c_kind, self.c_high, self.c_low)

    def __repr__(self):
        return f"Assignment({self.address} to {self.sandbox!r} on {self.eni_id})"


cdef void keep_spare(void *memory) noexcept:
    """Keep the memory of an assignment whose objects are released, or free it."""
    if spares.n < N_SPARES:
        spares.memory[spares.n] = memory
        spares.n += 1
    else:
        PyObject_Free(memory)


(<PyTypeObject*> Assignment).tp_free = keep_spare


cdef int spare_one() except -1:
    """Let there be the memory for an assignment: one is made, and dropped."""
    if spares.n == 0:
        Assignment.__new__(Assignment)
    return 0


def assignment_from(Sandbox sandbox not None, str pod, str eni_id, int device_number,
                    int64_t assigned_ns, int kind, uint64_t high, uint64_t low):
    """Return the assignment that was pickled."""
    cdef Assignment value = Assignment.__new__(Assignment)
    value.sandbox, value.pod, value.eni_id = sandbox, pod, eni_id
    value.device_number, value.assigned_ns = device_number, assigned_ns
    value.c_kind, value.c_high, value.c_low = kind, high, low
    return value


@cython.final
@cython.no_gc
@cython.dataclasses.dataclass(frozen=True, kw_only=True)
cdef class PoolStats:
    """PoolStats(*, total, assigned, cooling, prefixes, free_prefixes, enis)\n--\n\n\
    Counts over ENIs that are not excluded, of the mode's own kinds.

    `prefixes`, `free_prefixes` (without an assigned address) and `enis` count excluded
    ENIs too. Source: pool-rules section 3.
    """

    @property
    def available(self):
        """The agent's count "available": total - assigned, so cooling ones too."""
        return self.total - self.assigned

    @property
    def assignable(self):
        """How many addresses can be assigned now."""
        return self.total - self.assigned - self.cooling

    def __reduce__(self):
        return reduced(self)


@cython.final
@cython.no_gc
@cython.dataclasses.dataclass(frozen=True, kw_only=True)
cdef class Eni:
    """Eni(*, eni_id, device_number, network_card, primary, trunk, efa, excluded, created_ns, \
subnet_id, route_table)\n--\n\n\
    The facts about an ENI, as it was added.
    """

    def __reduce__(self):
        return reduced(self)


@cython.final
@cython.no_gc
@cython.dataclasses.dataclass(frozen=True, kw_only=True)
cdef class EniStats:
    """EniStats(*, eni, slots_used, total, assigned, cooling, assigned_any, cooling_any, \
addresses, prefixes, free_prefixes)\n--\n\n\
    One ENI's counts: of the mode's own kinds, and (`_any`) of all kinds."""

    def __reduce__(self):
        return reduced(self)


@cython.final
@cython.no_gc
@cython.dataclasses.dataclass(frozen=True, kw_only=True)
cdef class UsedAddress:
    """UsedAddress(*, address, prefix, sandbox, pod, assigned_ns, released_ns)\n--\n\n\
    An address that a sandbox holds or has held since it was attached.

    `sandbox` and `pod` are None once it is released; `released_ns` is 0 until then.
    """

    def __reduce__(self):
        return reduced(self)


@cython.final
@cython.no_gc
@cython.dataclasses.dataclass(frozen=True, kw_only=True)
cdef class FreeSlot:
    """FreeSlot(*, eni_id, device_number, cidr, n_free, n_assigned, n_cooling)\n--\n\n\
    A slot that can give an address: a secondary IP, or a prefix (`cidr` has a slash).

    A placement of one's own chooses one of these (`Policy.placement`).
    """

    def __reduce__(self):
        return reduced(self)


@cython.final
@cython.dataclasses.dataclass(frozen=True, kw_only=True)
cdef class FreeEniAnswer:
    """FreeEniAnswer(*, eni_id, candidates, reasons)\n--\n\n\
    Which ENI can be freed, and why each other cannot (pool-rules section 5.3)."""

    def __reduce__(self):
        return reduced(self)
