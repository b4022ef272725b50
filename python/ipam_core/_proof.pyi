"""A proof of a pool's invariants: nothing for Python (src/ipam_core/_proof.pyx)."""
