"""Every size of a family, explained in several processes at once.

    python examples/process_pool.py [FAMILY]

Results and errors can be pickled: a type that does not exist is one error in one result, and the
others are not lost.
"""

import sys
from concurrent.futures import ProcessPoolExecutor

from ipam_core import Explanation, explain
from ipam_core.errors import IpamError

SIZES = ("large", "xlarge", "2xlarge", "hugest")
ENV = {"WARM_IP_TARGET": "5", "MINIMUM_IP_TARGET": "12"}


def explain_one(instance_type: str) -> Explanation | IpamError:
    """Return what a worker found: an explanation, or the error that says why not."""
    try:
        return explain(instance_type, ENV, advise=False)
    except IpamError as error:
        return error


def main(family: str = "m6i") -> None:
    """Print a line for each size."""
    types = [f"{family}.{size}" for size in SIZES]
    with ProcessPoolExecutor(2) as executor:
        for name, found in zip(types, executor.map(explain_one, types), strict=True):
            print(f"{name:12} {found if isinstance(found, IpamError) else found.verdict}")


if __name__ == "__main__":
    main(*sys.argv[1:])
