"""What the tests of what tests others have in common: each answer that botocore gets is validated."""

from support.validated import answers_are_validated

__all__ = ["answers_are_validated"]
