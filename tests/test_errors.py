"""Errors travel between processes: one that could not be unpickled broke the whole pool."""

from __future__ import annotations

import copy
import pickle

import pytest

from ipam_core import Sandbox, errors

RAISED = [
    errors.PoolExhaustedError(total=3, assigned=2, cooling=1),
    errors.NotReadyError(),
    errors.UnknownSandboxError(Sandbox("a")),
    errors.SubnetExhaustedError("10.0.0.0/24", asked=3, free=1),
    errors.NoFreePrefixError("10.0.0.0/24", asked=1, free_prefixes=0, free=9),
    errors.UnknownInstanceTypeError("m5.lrge", ("m5.large",)),
    errors.ThrottledError("AttachNetworkInterface", "RequestLimitExceeded", "slow down", "r-1"),
    errors.ForkedError("checkpoint a.db", 7),
    errors.CheckpointWriteError("a.db", "not written: no space"),
    errors.NotRestoredError("a.db", "10.0.0.1", Sandbox("a")),
    errors.CheckpointDamagedError("a.db", ("row 1", "row 2")),
    errors.CheckpointVersionError("a.db", version=2, newest=1),
]


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("carried", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_error_arrives_as_it_was(error, carried):
    arrived = carried(error)
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)
