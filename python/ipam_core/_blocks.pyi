"""A proof of a subnet's blocks: nothing for Python (src/ipam_core/_blocks.pyx)."""
