"""Every public name says what a caller must know; the list of those that do not is empty."""

import pytest

from support.installed import ROOT
from support.loading import loaded


@pytest.fixture(scope="module")
def docstrings():
    return loaded(ROOT / "tools" / "docstrings.py")


def test_no_public_name_lacks_anything(docstrings):
    assert docstrings.lacking() == []
    names = [name for name, _ in docstrings.public()]
    assert len(names) > 250
    known = {"DataStore.assign", "Node.add_pod", "Settings.from_env", "explain"}
    assert known | {"pool.decide", "instances.limits"} <= set(names)
    assert set(docstrings.SOURCED + docstrings.COSTED) <= set(names)


def test_what_is_missing_is_seen(docstrings):
    """The check above can fail."""

    def silent(value):
        """Return it."""
        raise ValueError(value)

    def nameless(value):
        return value

    def half(share: float, wait_s: float):
        """Return what is left after `wait_s`."""

    class Named:
        def assign(self):
            """Assign."""

    assert list(docstrings.lacks("silent", silent)) == ["errors"]
    assert list(docstrings.lacks("nameless", nameless)) == ["text"]
    assert list(docstrings.lacks("DataStore.assign", Named.assign)) == ["cost"]
    assert list(docstrings.lacks("half", half)) == ["units of share"]
    assert list(docstrings.lacks("pool.decide", half)) == ["cost", "source", "units of share"]
