"""Hypothesis profiles, chosen by HYPOTHESIS_PROFILE: `ci` by default, for `make soak` `soak`.

`sanitize` is for the core as it is built for `make sanitize`, where an example takes five times
as long: it looks for what any example shows.
"""

import gc
import os
import sys

import pytest
from hypothesis import HealthCheck, settings

from support import aws_models
from support.python import end_server

settings.register_profile("ci", deadline=None, max_examples=40, print_blob=True)
settings.register_profile("sanitize", deadline=None, max_examples=15, print_blob=True)
settings.register_profile(
    "soak",
    deadline=None,
    max_examples=5000,
    stateful_step_count=50,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# A fifth of the processor's time went into garbage collections, most of which found nothing:
# what tests make goes with its last reference. Python's default is 700 objects, 10 and 10.
gc.set_threshold(50_000, 20, 50)

# jsonschema imports this where it is there, and compiles 40 grammars for 1.3 s: no schema of ours
# has a format that it checks.
sys.modules.setdefault("rfc3987_syntax", None)


def pytest_collection_finish():
    """Keep modules and tests out of garbage collections: a full one took 0.1 s, and many are."""
    aws_models.share()
    _keep_out_of_collections()


def pytest_unconfigure():
    """End the process whose forks were started."""
    end_server()


@pytest.fixture
def quick_collections():
    """Keep what is there already out of the collections that a test starts, and of later ones."""
    _keep_out_of_collections()


def _keep_out_of_collections():
    gc.collect()
    gc.freeze()
