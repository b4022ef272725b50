"""What the tests of `ipam_core.testing` have in common: each answer to botocore is validated."""

from support.validated import answers_are_validated

__all__ = ["answers_are_validated"]
