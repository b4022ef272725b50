"""A node on no cloud at all: the simulated one, in real time."""

from __future__ import annotations

import json
import random
import threading
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ipam_core.agent.surroundings import NodeFacts
from ipam_core.cloud.metadata import Instance
from ipam_core.cloud.region import EPOCH, PRIMARY_SUBNET, SimulatedEni
from ipam_core.cloud.simulated_cloud import SimulatedCloud
from ipam_core.cloud.subnets import AddressedSubnet
from ipam_core.documents import load_json, read_text
from ipam_core.errors import InputError
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ipam_core.cloud.latency import Latencies
    from ipam_core.effects import Effect
    from ipam_core.instances import InstanceLimits

CIDR = "10.0.0.0/16"
ZONE = "eu-west-1a"
"""Where a simulated node says that it is."""
_EPOCH_NS = round(EPOCH.timestamp()) * NS


class SimulatedHost:
    """One instance in a simulated VPC, whose calls take as long as EC2's do.

    A call changes the VPC when its reply comes, as in `simulate`. `latencies` are the
    simulator's; None: a call takes no time. `seed` decides which addresses EC2 gives, and how
    long each call takes. `sleep` waits. With `kept`, a file, the VPC outlives the process: it is
    written before a call that changed it is answered.

    Attributes:
        cloud: the simulated cloud itself, for whoever changes it from outside.

    Raises:
        InputError: the file holds the VPC of another type, or none.
        OSError: the file cannot be read.
    """

    def __init__(
        self,
        limits: InstanceLimits,
        *,
        seed: int = 0,
        cidr: str = CIDR,
        latencies: Latencies | None = None,
        sleep: Callable[[float], object] = time.sleep,
        kept: Path | None = None,
    ) -> None:
        self.cloud: SimulatedCloud = SimulatedCloud(
            limits, cidr=cidr, seed=seed, clock_ns=lambda: time.time_ns() - _EPOCH_NS
        )
        subnet = self.cloud.region.subnets[PRIMARY_SUBNET]
        assert isinstance(subnet, AddressedSubnet)
        self._subnet = subnet.subnet
        self._cidr = cidr
        self._latencies = latencies
        self._chance = random.Random(seed)
        self._sleep = sleep
        self._kept = kept
        self._lock = threading.Lock()
        if kept is not None and kept.exists():
            self._restore(kept)

    def perform(self, effect: Effect) -> Any:
        """Carry one effect out and return its reply. Raises `CloudError`."""
        if effect.api is None:
            with self._lock:
                return self.cloud.perform(effect)
        if self._latencies is not None:
            with self._lock:
                late_ns = self._latencies.sample_ns(effect.api, self._chance)
            self._sleep(late_ns / NS)
        with self._lock:
            reply = self.cloud.perform(effect)
            if self._kept is not None and not effect.api.startswith("Describe"):
                self._keep(self._kept)
            return reply

    def read_facts(self) -> NodeFacts:
        """Return what is known of the instance."""
        with self._lock:
            primary = self.cloud.attached()[0]
        return NodeFacts(
            instance=Instance(
                instance_id=self.cloud.instance_id,
                instance_type=self.cloud.limits.instance_type,
                zone=ZONE,
                vpc_id="vpc-simulated",
                subnet_id=self.cloud.subnet_id,
            ),
            region=ZONE[:-1],
            limits=self.cloud.limits,
            node_ipv4=primary.primary_address,
            vpc_ipv4_cidrs=(self._cidr,),
        )

    # --- the VPC's own file -----------------------------------------------------------

    def _keep(self, path: Path) -> None:
        region = self.cloud.region
        document = {
            "instance_type": self.cloud.limits.instance_type,
            "cidr": self._cidr,
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "enis": [asdict(eni) for eni in region.enis.values()],
        }
        new = path.with_name(f"{path.name}.new")
        new.write_text(json.dumps(document), "utf-8")
        new.replace(path)  # a process that is killed leaves the one or the other

    def _restore(self, path: Path) -> None:
        try:
            document = load_json(read_text(path))
            same = document["instance_type"], document["cidr"]
            enis = [SimulatedEni(**each) for each in document["enis"]]
        except (LookupError, TypeError, ValueError) as error:
            raise InputError(f"{path}: not a simulated VPC: {error}") from error
        own = self.cloud.limits.instance_type, self._cidr
        if same != own:
            raise InputError(f"{path}: the simulated VPC of {same}, not of {own}; remove it")
        region = self.cloud.region
        for eni in self.cloud.attached():  # the one that a new VPC begins with
            region.detach(eni)
            region.delete_eni(eni.eni_id)
        for eni in enis:
            for address in (eni.primary_address, *eni.addresses):  # in bulk it would load NumPy
                self._subnet.take_given(address)
            for prefix in eni.prefixes:
                self._subnet.take_given_prefix(prefix)
        region.restore_enis(enis)
