"""Addresses as text: nothing for Python (src/ipam_core/_text.pyx)."""
