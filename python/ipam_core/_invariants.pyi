"""The check of a pool's invariants: nothing for Python (src/ipam_core/_invariants.pyx)."""
