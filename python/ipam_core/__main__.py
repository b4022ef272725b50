"""`python -m ipam_core`: the same as `ipam-core`."""

from ipam_core.cli import main

main()
