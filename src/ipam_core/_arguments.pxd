"""Arguments of the core's methods: integers within bounds, and the time."""

from libc.stdint cimport INT64_MAX, int64_t

cdef enum:
    MOST_SECONDS = 1_000_000_000    # of a cooldown or an age
    # How far ahead of the clock a caller's time may be. None has reason to be ahead, but
    # for the clock's coarseness, and clocks that are slewed otherwise (CLOCK_MONOTONIC_RAW).
    AHEAD_S = 60

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object number, int *overflow) except? -1

# CPython keeps an integer in digits of 30 bits: the times of a monotonic clock have two, from its
# second second to its 36th year. To read them here saves 65 instructions a call.
cdef extern from *:
    """
    static inline int64_t ipam_two_digits(PyObject *value) {
    #if PyLong_SHIFT == 30 && PY_VERSION_HEX < 0x030C0000
        if (PyLong_CheckExact(value) && Py_SIZE(value) == 2) {
            const digit *digits = ((PyLongObject *) value)->ob_digit;
            return (int64_t) digits[0] | (int64_t) digits[1] << PyLong_SHIFT;
        }
    #elif PyLong_SHIFT == 30 && PY_VERSION_HEX < 0x030F0000
        if (PyLong_CheckExact(value)) {
            const _PyLongValue *number = &((PyLongObject *) value)->long_value;
            if (number->lv_tag >> 3 == 2 && (number->lv_tag & 3) == 0)  /* positive */
                return (int64_t) number->ob_digit[0]
                       | (int64_t) number->ob_digit[1] << PyLong_SHIFT;
        }
    #endif
        (void) value;
        return INT64_MAX;
    }
    """
    int64_t ipam_two_digits(object value) noexcept    # INT64_MAX: it is something else

# The coarse clock where there is one; everywhere the clock of Python's `time.monotonic`.
cdef extern from *:
    """
    #if defined(_WIN32)
    #ifndef WIN32_LEAN_AND_MEAN
    #define WIN32_LEAN_AND_MEAN
    #endif
    #include <windows.h>
    static inline int64_t ipam_clock_ns(void) { return (int64_t) GetTickCount64() * 1000000; }
    #else
    #include <time.h>
    #if defined(__APPLE__)
    #define IPAM_CLOCK CLOCK_UPTIME_RAW
    #elif defined(CLOCK_MONOTONIC_COARSE)
    #define IPAM_CLOCK CLOCK_MONOTONIC_COARSE
    #else
    #define IPAM_CLOCK CLOCK_MONOTONIC
    #endif
    static inline int64_t ipam_clock_ns(void) {
        struct timespec now;
        clock_gettime(IPAM_CLOCK, &now);
        return (int64_t) now.tv_sec * 1000000000 + now.tv_nsec;
    }
    #endif
    """
    int64_t ipam_clock_ns() noexcept nogil


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
    return ipam_clock_ns()


cdef inline int64_t time_ns(object value, int64_t *latest_ns, str name) except? -1:
    """Return the time that a caller gave, or the coarse monotonic clock's.

    Raises `ValueError` if it is later than `latest_ns`, which follows the clock: the clock is
    read only for a time that is later than any before.
    """
    cdef int64_t number = ipam_two_digits(value)
    return number if number <= latest_ns[0] and number != INT64_MAX else (
        odd_time_ns(value, latest_ns, name))


cdef inline int64_t odd_time_ns(object value, int64_t *latest_ns, str name) except? -1:
    """Do as `time_ns`, whatever the caller gave."""
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
