"""A store as Python's own containers are: length, membership, copies, pickles."""

from ipam_core._shared cimport Shared


cdef class Manners(Shared):
    cdef object __weakref__
