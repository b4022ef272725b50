"""What happens to a node outside its agent's control, step by step of a scenario.

EC2 and instance metadata change at once; the agent sees it at its next check. An ENI that does
not exist (the agent may have freed it) is ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core._store import Sandbox
from ipam_core.effects import CheckpointEntry

if TYPE_CHECKING:
    from ipam_core.simulation.scenario.spec import ScenarioStep
    from ipam_core.simulation.scenario.world import World


def attach(world: World, step: ScenarioStep) -> None:
    """Attach an ENI; the store gets it at the next reconcile."""
    role = step.get("role", "secondary")
    eni = world.place(step.get("name"), step.get("ips", 0), step.get("prefixes", 0))
    eni.interface_type = "interface" if role == "secondary" else role
    card = step.get("card", 0)
    world.instance.attach(eni, world.instance.free_device(card), card)
    world.instance.publish_metadata()


def detach(world: World, step: ScenarioStep) -> None:
    """Detach and delete an ENI."""
    if step.get("name") in world.region.enis:
        world.region.delete_eni(step.get("name"))
        world.instance.publish_metadata()


def give(world: World, step: ScenarioStep) -> None:
    """Give an ENI more secondary IPs and prefixes."""
    eni = world.region.enis.get(step.get("name"))
    if eni is not None:
        subnet = world.region.subnets[eni.subnet_id]
        _, addresses, prefixes = subnet.place_eni(step.get("ips", 0), step.get("prefixes", 0))
        eni.addresses += addresses
        eni.prefixes += prefixes
        world.instance.publish_metadata()


def take(world: World, step: ScenarioStep) -> None:
    """Remove the last secondary IPs and prefixes of an ENI."""
    eni = world.region.enis.get(step.get("name"))
    if eni is not None:
        addresses = eni.addresses[max(len(eni.addresses) - step.get("ips", 0), 0) :]
        prefixes = eni.prefixes[max(len(eni.prefixes) - step.get("prefixes", 0), 0) :]
        eni.addresses = eni.addresses[: len(eni.addresses) - len(addresses)]
        eni.prefixes = eni.prefixes[: len(eni.prefixes) - len(prefixes)]
        world.region.subnets[eni.subnet_id].give_back(addresses, prefixes)
        world.instance.publish_metadata()


def checkpoint(world: World, step: ScenarioStep) -> None:
    """Put entries into the checkpoint, each of a pod that runs."""
    for entry in step.get("entries"):
        sandbox = Sandbox(f"{entry['pod']}-sandbox")
        world.add_running(entry["pod"], sandbox)
        world.instance.checkpoint.append(
            CheckpointEntry(
                container_id=sandbox.container_id,
                ifname=sandbox.ifname,
                network=sandbox.network,
                address=entry["ip"],
                pod=f"default/{entry['pod']}",
            )
        )
