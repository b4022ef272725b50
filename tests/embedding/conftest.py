"""Environments that the programs run in."""

import pytest

from support.installed import installed


@pytest.fixture(scope="session")
def clean(tmp_path_factory):
    """The wheel, and nothing else."""
    return installed(tmp_path_factory)


@pytest.fixture(scope="session")
def complete(tmp_path_factory):
    """The wheel and all extras."""
    return installed(tmp_path_factory, extras=True)
