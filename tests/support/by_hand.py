"""A change of variables that is set by hand, without the package's own way to try one."""

from ipam_core.diagnosis.explain.explanation import explain
from ipam_core.diagnosis.explain.finding import Severity


def with_change(old, env, change):
    """Return the errors and warnings of an explanation's node with variables set, or removed."""
    return explain(
        old.case.limits,
        {name: value for name, value in (env | change).items() if value is not None},
        max_pods=old.case.max_pods,
        least=Severity.WARNING,
        advise=False,
    )
