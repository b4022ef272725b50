"""Addresses and prefixes as text, and in the internal form: a kind and 128 bits.

IPv4 is read and written in C, because pools are built from hundreds of addresses at once; the
ipaddress module does IPv6.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from ipam_core._ipv4 cimport (
    PyUnicode_DATA,
    PyUnicode_GET_LENGTH,
    PyUnicode_IS_ASCII,
    c_address_text,
    c_parse_prefix,
    c_prefix_text,
    c_read_address,
)
from ipam_core._slots cimport IPV6_PREFIX, PREFIX, SECONDARY_IP

import ipaddress

_OBJECTS = (ipaddress.IPv4Address, ipaddress.IPv4Network,
            ipaddress.IPv6Address, ipaddress.IPv6Network)
cdef uint64_t HOST_BITS = (<uint64_t> 1 << 48) - 1    # of an IPv6 /80


cdef extern from "Python.h":
    str PyUnicode_FromObject(object text)    # a copy of exactly str; runs no code of a subclass


cdef str plain_text(object value, str what):
    """Return a text as exactly `str`. Raises `TypeError` if it is not a text."""
    if not isinstance(value, str):
        raise TypeError(f"{what} must be str, not {type(value).__name__}: {value!r}")
    return PyUnicode_FromObject(value)


cdef str given_text(object value):
    """Return the text of an address or a network, given as text or as an `ipaddress` object."""
    if type(value) is not str and isinstance(value, _OBJECTS):
        value = str(value)
    return plain_text(value, "an address")


cdef str address_text(int kind, uint64_t high, uint64_t low):
    """Return an address as text."""
    if kind == IPV6_PREFIX:
        return str(ipaddress.IPv6Address((<object> high) << 64 | low))
    return c_address_text(<uint32_t> low)


cdef str prefix_text(int kind, uint64_t high, uint64_t low):
    """Return the prefix of an address as text; None for a secondary IP."""
    if kind == SECONDARY_IP:
        return None
    if kind == IPV6_PREFIX:
        return address_text(IPV6_PREFIX, high, low & ~HOST_BITS) + "/80"
    return c_prefix_text(<uint32_t> low & ~<uint32_t> 15)


cdef int read_address(str text, int *family, uint64_t *high, uint64_t *low) except -1:
    """Read an IPv4 address (family SECONDARY_IP) or an IPv6 one (IPV6_PREFIX). Raises `ValueError`.

    A zone id (`fe80::1%eth0`) is refused: what is attached has none.
    """
    cdef int64_t address = -1
    if PyUnicode_IS_ASCII(text):
        address = c_read_address(<const char*> PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text))
    if address >= 0:
        family[0], high[0], low[0] = SECONDARY_IP, 0, <uint64_t> address
        return 0
    try:
        number = -1 if "%" in text else int(ipaddress.IPv6Address(text))
    except ValueError:
        number = -1
    if number < 0:
        raise ValueError(f"{text!r} is neither an IPv4 nor an IPv6 address")
    family[0], high[0], low[0] = IPV6_PREFIX, number >> 64, number & 0xFFFF_FFFF_FFFF_FFFF
    return 0


cdef int read_prefix(str text, int *kind, uint64_t *high, uint64_t *low) except -1:
    """Read an IPv4 /28 (kind PREFIX) or an IPv6 /80 (IPV6_PREFIX). Raises `ValueError`."""
    if not text.endswith("/80"):
        kind[0], high[0], low[0] = PREFIX, 0, <uint64_t> c_parse_prefix(text)
        return 0
    read_address(text.removesuffix("/80"), kind, high, low)
    if kind[0] != IPV6_PREFIX:
        raise ValueError(f"{text!r} is not an IPv6 /80 prefix")
    if low[0] & HOST_BITS:
        raise ValueError(f"{text!r} has address bits set below the prefix")
    return 0
