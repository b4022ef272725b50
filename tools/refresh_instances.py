"""Refresh the table of instance types from what `aws ec2 describe-instance-types` prints.

    python tools/refresh_instances.py REGION.json ... [--trunking limits.go] [--as-of 2026-11]

Files of several regions are merged; types that no file has stay. `--trunking` is
pkg/aws/vpc/limits.go of aws/amazon-vpc-resource-controller-k8s. Says what changed, a line a
type, and writes nothing with `--check` (status 1 where something would change).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ipam_core import instances
from ipam_core.documents import read_text
from ipam_core.errors import IpamError
from ipam_core.instance_descriptions import read_descriptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam_core.instances import InstanceLimits

DATA = Path(__file__).parent.parent / "python" / "ipam_core" / "data"
COLUMNS = (
    "instance_type,max_enis,ipv4_per_eni,default_network_card,enis_per_network_card,"
    "hypervisor,bare_metal,max_pods,vcpus,trunking"
)
_TRUNKING = re.compile(
    r'^\t"(?P<name>[^"]+)":\s*\{.*?IsTrunkingCompatible:\s*(?P<value>true|false)',
    re.MULTILINE | re.DOTALL,
)


def main() -> int:
    """Merge the files into the table; return the status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="+", type=Path, help="JSON or YAML, a region each")
    parser.add_argument("--trunking", type=Path, help="limits.go of the resource controller")
    parser.add_argument("--as-of", help="year and month to write into instance-limits.json")
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of the table")
    parser.add_argument("--check", action="store_true", help="write nothing")
    given = parser.parse_args()
    try:
        before = {name: instances.limits(name) for name in instances.names()}
        after = dict(before)
        for path in given.files:
            for name, found in read_descriptions(read_text(path)).items():
                known = before.get(name)
                after[name] = (
                    replace(found, hypervisor=known.hypervisor)
                    if (known and found.hypervisor == "unknown")
                    else found
                )
        if given.trunking:
            stated = {
                m["name"]: m["value"] == "true"
                for m in _TRUNKING.finditer(read_text(given.trunking))
            }
            after = {
                n: replace(each, trunking=stated.get(n, each.trunking)) for n, each in after.items()
            }
    except (IpamError, OSError) as error:
        print(f"refresh_instances: {error}", file=sys.stderr)
        return 2
    changes = [line for name in sorted(after) for line in changed(before.get(name), after[name])]
    print("\n".join(changes) if changes else "nothing changed")
    if given.check:
        return 1 if changes else 0
    lines = [COLUMNS, *(as_line(after[name]) for name in sorted(after))]
    (given.data / "instance-limits.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if given.as_of:
        source = given.data / "instance-limits.json"
        facts = json.loads(source.read_text(encoding="utf-8")) | {"as_of": given.as_of}
        source.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return 0


def changed(before: InstanceLimits | None, after: InstanceLimits) -> Iterator[str]:
    """Yield what changed of one type."""
    if before is None:
        yield f"{after.instance_type}: new, {after.max_enis} ENIs x {after.ipv4_per_eni} addresses"
        return
    for each in fields(after):
        old, new = getattr(before, each.name), getattr(after, each.name)
        if old != new:
            yield f"{after.instance_type}: {each.name} {old} -> {new}"


def as_line(limits: InstanceLimits) -> str:
    """Return a type as a line of the table."""
    return ",".join(
        (
            limits.instance_type,
            str(limits.max_enis),
            str(limits.ipv4_per_eni),
            str(limits.default_network_card),
            "+".join(map(str, limits.enis_per_network_card)),
            limits.hypervisor,
            str(limits.bare_metal).lower(),
            str(limits.max_pods),
            "" if limits.vcpus is None else str(limits.vcpus),
            str(limits.trunking).lower(),
        )
    )


if __name__ == "__main__":
    sys.exit(main())
