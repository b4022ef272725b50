"""IPv4 addresses as text and as numbers, in C: all inline, so no module of its own."""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcpy

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 largest)
    bint PyUnicode_IS_ASCII(object text) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(object text) noexcept
    void *PyUnicode_DATA(object text) noexcept  # of ASCII text: its bytes


cdef inline char *c_write_octet(char *text, uint32_t octet) noexcept nogil:
    """Write 0 to 255 in decimal and return the end of it."""
    if octet >= 100:
        text[0] = 48 + octet // 100
        text += 1
        octet %= 100
        text[0] = 48 + octet // 10
        text += 1
    elif octet >= 10:
        text[0] = 48 + octet // 10
        text += 1
    text[0] = 48 + octet % 10
    return text + 1


cdef inline int c_write_address(char *text, uint32_t address) noexcept nogil:
    """Write an address as a dotted quad and return its length, at most 15."""
    cdef char *end = c_write_octet(text, address >> 24)
    end[0] = 46
    end = c_write_octet(end + 1, address >> 16 & 255)
    end[0] = 46
    end = c_write_octet(end + 1, address >> 8 & 255)
    end[0] = 46
    end = c_write_octet(end + 1, address & 255)
    return <int> (end - text)


cdef inline str c_text(const char *text, int size):
    """Return ASCII text; faster than decoding it."""
    made = PyUnicode_New(size, 127)
    memcpy(PyUnicode_DATA(made), text, size)
    return <str> made


cdef inline str c_address_text(uint32_t address):
    """Return an address as a dotted quad."""
    cdef char text[16]
    return c_text(text, c_write_address(text, address))


cdef inline str c_prefix_text(uint32_t address):
    """Return the /28 that starts at an address."""
    cdef char text[20]
    cdef int end = c_write_address(text, address)
    memcpy(text + end, b"/28", 3)
    return c_text(text, end + 3)


cdef inline int64_t c_read_address(const char *text, Py_ssize_t size) noexcept nogil:
    """Return the number of a dotted quad; -1 for any other text, leading zeros included."""
    cdef int64_t address = 0
    cdef int octet = 0, digits = 0, octets = 1
    cdef Py_ssize_t at
    for at in range(size):
        if text[at] == 46:
            if digits == 0 or octets == 4:
                return -1
            address = address << 8 | octet
            octet = 0
            digits = 0
            octets += 1
        elif text[at] < 48 or text[at] > 57 or (digits and octet == 0):
            return -1
        else:
            octet = octet * 10 + text[at] - 48
            digits += 1
            if octet > 255:
                return -1
    return address << 8 | octet if octets == 4 and digits else -1


cdef inline int64_t c_parse_address(object text) except -1:
    """Return the number of an address given as text. Raises `ValueError`, `TypeError`."""
    cdef int64_t address = -1
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is not the text of an IPv4 address")
    if PyUnicode_IS_ASCII(text):
        address = c_read_address(<const char*> PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text))
    if address < 0:
        raise ValueError(f"{text!r} is not an IPv4 address")
    return address


cdef inline int64_t c_parse_prefix(object text) except -1:
    """Return the first address of a /28 given as text. Raises `ValueError`, `TypeError`."""
    cdef int64_t base
    if not isinstance(text, str) or not text.endswith("/28"):
        raise ValueError(f"{text!r} is not an IPv4 /28 prefix")
    base = c_parse_address(text.removesuffix("/28"))
    if base & 15:
        raise ValueError(f"{text!r} has address bits set below the prefix")
    return base
