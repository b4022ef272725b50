"""The pytest plugin: fixtures for tests of what talks to EC2. Loaded by its entry point.

vpc         a `TestVpc`: a VPC served on a free port, for one test
vpc_spec    what is in it: override this fixture, in a module or in a conftest
make_vpc    makes more of them, each with a spec of its own

Nothing is imported but pytest until a test asks for one of them.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from ipam_core.testing.vpc import TestVpc

    Spec = Mapping[str, Any] | Path | None


@pytest.fixture
def vpc_spec() -> Spec:
    """What the fixture `vpc` has: None is a /16 with one node of type m5.large."""
    return None


@pytest.fixture
def make_vpc() -> Iterator[Callable[..., TestVpc]]:
    """Make a VPC: `make_vpc(spec, held=True, **options)`; it is served until the test ends."""
    from ipam_core.testing.vpc import TestVpc  # noqa: PLC0415  (loads boto3 and the server)

    with ExitStack() as stack:
        yield lambda *given, **options: stack.enter_context(TestVpc(*given, **options))


@pytest.fixture
def vpc(make_vpc: Callable[..., TestVpc], vpc_spec: Spec) -> TestVpc:
    """A VPC served on a free port of the loopback: `vpc.ec2` is a boto3 client of it."""
    return make_vpc(vpc_spec)
