"""Addresses and prefixes as text, and as the kind and 128 bits that they are inside.

IPv4 in its plain form is read and written here, because pools are built from hundreds
of addresses at once; IPv6 and whatever looks odd is for the ipaddress module.
"""

from cpython.unicode cimport PyUnicode_FromStringAndSize
from libc.stdint cimport uint32_t, uint64_t

from ipam_core._slots cimport LONE, PREFIX, WIDE

import ipaddress

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef uint64_t HOST_BITS = (<uint64_t> 1 << 48) - 1    # of an IPv6 /80


cdef str ipv4_text(uint32_t address, const char *ending, int n_ending):
    """Return an IPv4 address with an ending of at most 3 characters."""
    cdef char text[20]
    cdef int end = 0, shift, octet
    for shift in range(24, -1, -8):
        octet = address >> shift & 255
        if octet > 99:
            text[end] = c'0' + octet // 100
            end += 1
        if octet > 9:
            text[end] = c'0' + octet // 10 % 10
            end += 1
        text[end] = c'0' + octet % 10
        text[end + 1] = c'.'
        end += 2
    end -= 1
    for shift in range(n_ending):
        text[end + shift] = ending[shift]
    return PyUnicode_FromStringAndSize(text, end + n_ending)


cdef str address_text(int kind, uint64_t high, uint64_t low):
    """Return an address as text."""
    if kind == WIDE:
        return str(ipaddress.IPv6Address((<object> high) << 64 | low))
    return ipv4_text(<uint32_t> low, "", 0)


cdef str prefix_text(int kind, uint64_t high, uint64_t low):
    """Return the prefix that an address is out of as text; None for a secondary IP."""
    if kind == LONE:
        return None
    if kind == WIDE:
        return address_text(WIDE, high, low & ~HOST_BITS) + "/80"
    return ipv4_text(<uint32_t> low & ~<uint32_t> 15, "/28", 3)


cdef bint parse_ipv4(const char *text, Py_ssize_t length, uint64_t *address) noexcept:
    """Read four decimal octets without leading zeros; return whether that is what it is."""
    cdef Py_ssize_t position = 0
    cdef int octets, digits, value
    address[0] = 0
    for octets in range(4):
        value = digits = 0
        while position < length and c'0' <= text[position] <= c'9' and digits < 3:
            value = value * 10 + text[position] - c'0'
            position += 1
            digits += 1
        if digits == 0 or value > 255 or (digits == 3 and value < 100) or (
                digits == 2 and value < 10):
            return False
        address[0] = address[0] << 8 | <uint64_t> value
        if octets < 3:
            if position == length or text[position] != c'.':
                return False
            position += 1
    return position == length


cdef int read_ipv4(str text, uint64_t *address) except -1:
    """Read an IPv4 address. Raises `ValueError`."""
    cdef Py_ssize_t length
    cdef const char *characters = PyUnicode_AsUTF8AndSize(text, &length)
    if not parse_ipv4(characters, length, address):
        raise ValueError(f"{text!r} is not an IPv4 address")
    return 0


cdef int read_address(str text, int *family, uint64_t *high, uint64_t *low) except -1:
    """Read an IPv4 address (family LONE) or an IPv6 one (WIDE). Raises `ValueError`."""
    cdef Py_ssize_t length
    cdef const char *characters
    family[0], high[0] = LONE, 0
    if text.isascii():
        characters = PyUnicode_AsUTF8AndSize(text, &length)
        if parse_ipv4(characters, length, low):
            return 0
    try:
        number = int(ipaddress.IPv6Address(text))
    except ValueError:
        raise ValueError(f"{text!r} is neither an IPv4 nor an IPv6 address") from None
    family[0] = WIDE
    high[0] = number >> 64
    low[0] = number & 0xFFFF_FFFF_FFFF_FFFF
    return 0


cdef int read_prefix(str text, int *kind, uint64_t *high, uint64_t *low) except -1:
    """Read an IPv4 /28 (kind PREFIX) or an IPv6 /80 (WIDE). Raises `ValueError`."""
    cdef Py_ssize_t length
    cdef const char *characters
    kind[0], high[0] = PREFIX, 0
    if text.isascii():
        characters = PyUnicode_AsUTF8AndSize(text, &length)
        if (length > 3 and characters[length - 3] == c'/' and characters[length - 2] == c'2'
                and characters[length - 1] == c'8'
                and parse_ipv4(characters, length - 3, low)):
            if low[0] & 15:
                raise ValueError(f"{text!r} has address bits set below the prefix")
            return 0
    address, _, size = text.partition("/")
    read_address(address, kind, high, low)
    if kind[0] != WIDE or size != "80":
        raise ValueError(f"{text!r} is neither an IPv4 /28 nor an IPv6 /80 prefix")
    if low[0] & HOST_BITS:
        raise ValueError(f"{text!r} has address bits set below the prefix")
    return 0
