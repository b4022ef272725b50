"""The command line: the only layer that prints. `main` is the entry point."""

from __future__ import annotations


def main() -> None:
    """Run the command line and leave the process with its exit status."""
    try:
        from ipam_core.cli._app import run

        status = run()
    except KeyboardInterrupt:  # while it was being loaded, or for the second time
        status = 130
    raise SystemExit(status)
