"""Types of the target rules' arithmetic (src/ipam_core/_rules.pyx)."""

from ipam_core.policy import Policy
from ipam_core.pool import PoolView

def terms_of(
    view: PoolView, policy: Policy
) -> tuple[
    int, bool, int, int, int, int, int, int, bool, bool, int, int, int, int, int, int, bool
]: ...
