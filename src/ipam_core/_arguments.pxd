"""What the methods of the core take: whole numbers within bounds, and the time."""

from libc.stdint cimport int64_t

cdef enum: MOST_SECONDS = 1_000_000_000    # of a cooldown or an age

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object number, int *overflow) except? -1

cdef extern from "<time.h>" nogil:
    cdef struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec *now)
    int CLOCK_MONOTONIC_COARSE


cdef inline int64_t most_ns() noexcept nogil:
    """Return the bound of all times: differences of two do not overflow."""
    return <int64_t> 1 << 62


cdef inline int64_t within(object value, int64_t least, int64_t most, str name) except? -1:
    """Return an argument as a C integer. Raises `ValueError` where it is out of range."""
    cdef int overflow
    cdef int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow or not least <= number <= most:
        raise ValueError(f"{name} {value}: from {least} to {most}")
    return number


cdef inline int64_t read_now(object now_ns) except? -1:
    """Return the time that a caller gave, or the coarse monotonic clock's."""
    cdef timespec now
    cdef int overflow
    cdef int64_t number
    if now_ns is None:
        clock_gettime(CLOCK_MONOTONIC_COARSE, &now)
        return <int64_t> now.tv_sec * 1_000_000_000 + now.tv_nsec
    number = PyLong_AsLongLongAndOverflow(now_ns, &overflow)
    if overflow or not -most_ns() < number < most_ns():
        raise ValueError(f"now_ns {now_ns}: within 2**62 nanoseconds")
    return number
