"""Arguments of the core's methods: integers within bounds, and the time."""

from libc.stdint cimport int64_t

cdef enum:
    MOST_SECONDS = 1_000_000_000    # of a cooldown or an age
    # How far ahead of the clock a caller's time may be. None has reason to be ahead, but
    # for the clock's coarseness, and clocks that are slewed otherwise (CLOCK_MONOTONIC_RAW).
    AHEAD_S = 60

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


cdef inline int64_t checked_int(object value, int64_t least, int64_t most, str name) except? -1:
    """Return an argument as a C integer. Raises `ValueError` if it is out of range."""
    cdef int overflow
    cdef int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow or not least <= number <= most:
        raise ValueError(f"{name} {value}: from {least} to {most}")
    return number


cdef inline int64_t clock_ns() noexcept nogil:
    """Return the time of the coarse monotonic clock, some milliseconds behind the fine one."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now)
    return <int64_t> now.tv_sec * 1_000_000_000 + now.tv_nsec


cdef inline int64_t time_ns(object value, int64_t *latest_ns, str name) except? -1:
    """Return the time that a caller gave, or the coarse monotonic clock's.

    Raises `ValueError` if it is later than `latest_ns`, which follows the clock: the clock is
    read only for a time that is later than any before.
    """
    cdef int overflow
    cdef int64_t number
    if value is None:
        return clock_ns()
    number = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow or not -most_ns() < number < most_ns():
        raise ValueError(f"{name} {value}: within 2**62 nanoseconds")
    if number > latest_ns[0]:
        latest_ns[0] = clock_ns() + <int64_t> AHEAD_S * 1_000_000_000
        if number > latest_ns[0]:
            raise ValueError(
                f"{name} {number}: more than {AHEAD_S} s ahead of the monotonic clock, which only "
                "a store made with given_time=True takes")
    return number
