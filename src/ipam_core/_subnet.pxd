"""The Subnet for other compiled code: `from ipam_core._subnet cimport Subnet`.

`_blocks` holds its state; the functions of ipam_core._blocks read and change it, under the GIL.
"""

from ipam_core._subnet_view cimport SubnetView


cdef class Subnet(SubnetView):
    cdef int flip_one(self, str address, bint release) except -1
    cdef int flip(self, object addresses, bint release) except -1
