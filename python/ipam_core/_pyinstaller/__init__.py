"""What PyInstaller needs to freeze a program that uses the package; it finds it by itself.

hook-ipam_core   the modules that are loaded by name, and the data files

May import: errors, and below.
"""

from __future__ import annotations

from pathlib import Path


def hook_dirs() -> list[str]:
    """Return where the hook is: the entry point `pyinstaller40:hook-dirs` names this function."""
    return [str(Path(__file__).parent)]
