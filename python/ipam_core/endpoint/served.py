"""A VPC with its time, its gate, its metadata and its trail: all that is served but HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.cloud.refusals import Ec2Error
from ipam_core.endpoint import state as states
from ipam_core.endpoint.account import Delays
from ipam_core.endpoint.actions.instances import MOST_AT_ONCE
from ipam_core.endpoint.actions.table import ACTIONS
from ipam_core.endpoint.clock import VpcClock
from ipam_core.endpoint.gate import Gate
from ipam_core.endpoint.metadata import Metadata
from ipam_core.endpoint.resources import has_form_of_id
from ipam_core.endpoint.trail import Trail
from ipam_core.endpoint.vpc import Vpc
from ipam_core.errors import InputError, IpamError
from ipam_core.tags import ROLE_TAG

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ipam_core.endpoint.account import Account
    from ipam_core.endpoint.file import VpcSpec
    from ipam_core.simulation.fleet.spec import FaultSpec, GroupSpec, SubnetSpec

APIS = tuple(sorted(action for _, action in ACTIONS))
"""The calls that are served, of all services."""
AT_ONCE = Delays(available_s=0, attached_s=0, detached_s=0, running_s=0, terminated_s=0)
"""The nodes of a file are running when the VPC begins."""
IMAGE = "ami-0123456789abcdef0"
"""The image of every node of a file."""


class ServedVpc:
    """A VPC that is served. `open_vpc` makes it.

    Attributes:
        vpc, gate, metadata, clock: its parts; account: the VPC's.
        trail: where calls are written, None for nowhere.
        state_path: where it is saved, None for nowhere.
    """

    def __init__(
        self,
        vpc: Vpc,
        gate: Gate,
        metadata: Metadata,
        clock: VpcClock,
        *,
        trail: Trail | None = None,
        state_path: Path | None = None,
    ) -> None:
        self.vpc = vpc
        self.account: Account = vpc.account
        self.gate = gate
        self.metadata = metadata
        self.clock = clock
        self.trail = trail
        self.state_path = state_path

    def close(self, *, save: bool = True) -> None:
        """Save the state, if it is saved anywhere, and close the trail. Raises `OSError`."""
        try:
            if save and self.state_path is not None:
                self.save()
        finally:
            if self.trail is not None:
                self.trail.close()

    def save(self) -> Path:
        """Save the state and return where; the old one is there until the new one is whole.

        Raises:
            OSError: it cannot be written.
            InputError: no file was given for it.
        """
        if self.state_path is None:
            raise InputError("no file was given for the state: --state FILE")
        states.write(self.state_path, states.dump(self.vpc, self.gate, self.metadata))
        return self.state_path

    def instance_ids(self) -> list[str]:
        """Return the instances that are there: not those that are terminated."""
        return [row.instance_id for row in self.account.instances if row.state != "terminated"]

    def move(self, by_ns: int) -> None:
        """Move the clock forward. What is due on the way happens before the next call.

        Each part has its own time then. Raises `InputError`: further than a clock goes.
        """
        self.clock.move(by_ns)

    def add_fault(self, spec: FaultSpec) -> int:
        """Let calls fail from now on, and return the fault's number; its window counts from now."""
        (number,) = self.gate.add_faults([spec], since_ns=self.gate.since_start_ns())
        return number

    def set_ec2(self, found: Mapping[str, Any]) -> None:
        """Change EC2's behaviour: what `simulation.fleet.parts.ec2_of` found in a file.

        Windows of faults count from now.
        """
        gate = self.gate
        if "latency" in found:
            gate.set_latencies(found["latency"])
        if "throttling" in found:
            gate.set_throttling(found["throttling"])
        gate.add_faults(found.get("faults", ()), since_ns=gate.since_start_ns())
        if "metadata_lag" in found:
            self.metadata.lag_ns = found["metadata_lag"]


def open_vpc(
    spec: VpcSpec,
    *,
    speed: float = 1.0,
    held: bool = False,
    seed: int | None = None,
    state: Path | None = None,
    trail: Path | None = None,
    trail_is_folder: bool = False,
) -> ServedVpc:
    """Return the VPC of a spec, or of the saved state where the file `state` is there.

    A state comes with its own time: the clock goes on from there, or, if it runs as time
    does, from the time of day where that is later. Calls are written to `trail`: a file, or a
    folder, which is made where `trail_is_folder`.

    Raises:
        InputError: a subnet or a node that cannot be, a damaged state, a file that is no trail.
        OSError: a file cannot be read or written.
    """
    chosen = spec.seed if seed is None else seed
    if state is not None:
        states.check_place(state)
    saved = states.read(state) if state is not None and state.exists() else None
    clock = VpcClock(speed=speed, held=held)
    if saved is not None:
        as_time_does = speed == 1 and not held
        start_ns = max(saved.now_ns, clock.now_ns()) if as_time_does else saved.now_ns
        clock = VpcClock(speed=speed, held=held, start_ns=start_ns)
        vpc = saved.vpc(clock.now_ns)
    else:
        vpc = _vpc_of(spec, clock, chosen)
    written = None
    if trail is not None:
        written = Trail(trail, region=vpc.account.region_name, is_folder=trail_is_folder)
    on_call = written.write if written is not None else lambda _: None
    gate = Gate(vpc, clock, seed=chosen, on_call=on_call)
    metadata = Metadata(vpc.account, lag_ns=spec.metadata_lag_ns)
    try:
        if saved is not None:
            saved.fill(gate, metadata)
    except InputError:
        if written is not None:
            written.close()
        raise
    if saved is None:
        gate.set_latencies(spec.latencies)
        gate.set_throttling(spec.throttling)
        gate.add_faults(spec.faults)
    return ServedVpc(vpc, gate, metadata, clock, trail=written, state_path=state)


# --- what a file says ---------------------------------------------------------------------


def _vpc_of(spec: VpcSpec, clock: VpcClock, seed: int) -> Vpc:
    """Return the VPC of a spec, with its subnets and its nodes. Raises `InputError`."""
    vpc = Vpc(
        region=spec.region, cluster=spec.cluster, clock_ns=clock.now_ns, seed=seed, delays=AT_ONCE
    )
    account = vpc.account
    network = account.add_vpc(spec.blocks, vpc_id=spec.vpc_id)
    ids = {
        subnet.subnet_id: _add_subnet(account, subnet, network.vpc_id) for subnet in spec.subnets
    }
    account.node_groups = tuple(group.name for group in spec.groups)
    for group in spec.groups:
        for n, name in enumerate(group.subnets):
            count = len(range(n, group.count, len(group.subnets)))
            try:
                for first in range(0, count, MOST_AT_ONCE):
                    n_now = min(count - first, MOST_AT_ONCE)
                    vpc.call("ec2", "RunInstances", _launch(group, ids[name], n_now, spec.cluster))
            except Ec2Error as error:
                where = f"nodes {group.name}: {count} in subnet {name}"
                raise InputError(f"{where}: {error.message}") from error
    account.settle()
    account.delays = Delays()
    return vpc


def _add_subnet(account: Account, spec: SubnetSpec, vpc_id: str) -> str:
    """Add a subnet and return its id: as given if it has the form of one, else a new one."""
    is_id = has_form_of_id(spec.subnet_id, "subnet")
    tags = {} if is_id else {"Name": spec.subnet_id}
    if spec.tag is not None:
        tags[ROLE_TAG] = spec.tag
    try:
        return account.add_subnet(
            spec.cidr,
            zone=spec.zone,
            subnet_id=spec.subnet_id if is_id else "",
            vpc_id=vpc_id,
            used=spec.used,
            reservations=spec.reservations,
            tags=tags,
        ).subnet_id
    except (IpamError, ValueError) as error:
        raise InputError(f"subnet {spec.subnet_id}: {error}") from error


def _launch(group: GroupSpec, subnet_id: str, count: int, cluster: str) -> dict[str, Any]:
    """Return the parameters of RunInstances for nodes of a group, tagged as EKS tags them."""
    tags = {
        "Name": group.name,
        "eks:cluster-name": cluster,
        "eks:nodegroup-name": group.name,
        f"kubernetes.io/cluster/{cluster}": "owned",
    }
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    return {
        "ImageId": IMAGE,
        "InstanceType": group.instance_type,
        "MinCount": count,
        "MaxCount": count,
        "SubnetId": subnet_id,
        "TagSpecifications": [{"ResourceType": "instance", "Tags": pairs}],
    }
