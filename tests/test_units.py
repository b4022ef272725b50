"""Counts in words."""

import pytest

from ipam_core.units import counted


@pytest.mark.parametrize(
    ("count", "what", "said"),
    [
        (0, "ENI", "0 ENIs"),
        (1, "ENI", "1 ENI"),
        (2, "address", "2 addresses"),
        (1, "address", "1 address"),
        (65_531, "free /28", "65,531 free /28s"),
    ],
)
def test_a_count_has_its_plural_and_commas(count, what, said):
    assert counted(count, what) == said
