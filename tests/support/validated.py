"""A fixture: every answer of a served VPC that a client of botocore gets is validated.

    from support.validated import answers_are_validated  # noqa: F401

Clients of another server are left alone: those whose test overrides the fixture.
"""

from __future__ import annotations

import pytest
from botocore.client import ClientCreator

from support.aws_shapes import Watch

_WATCH = Watch()
_create_client = ClientCreator.create_client


def _create_watched(self, *given, **named):
    return _WATCH.on(_create_client(self, *given, **named))


@pytest.fixture(autouse=True)
def answers_are_validated(monkeypatch):
    """Fail a test whose clients were answered otherwise than AWS's model of the call says."""
    monkeypatch.setattr(ClientCreator, "create_client", _create_watched)
    yield
    problems, _WATCH.problems = _WATCH.problems, []
    assert not problems, sorted(set(problems))
