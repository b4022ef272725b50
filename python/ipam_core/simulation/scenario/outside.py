"""What happens to a node outside its agent's control, step by step of a scenario.

EC2 and instance metadata change at once; the agent learns of it when it next looks. An ENI
that is not there (the agent freed it, say) is left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core._store import Sandbox
from ipam_core.effects import CheckpointEntry

if TYPE_CHECKING:
    from ipam_core.simulation.scenario.player import Player
    from ipam_core.simulation.scenario.spec import ScenarioStep


def attach(player: Player, step: ScenarioStep) -> None:
    """Attach an ENI; the store learns of it by the next reconcile."""
    role = step.get("role", "secondary")
    eni = player.place(step.get("name"), step.get("ips", 0), step.get("prefixes", 0))
    eni.interface_type = "interface" if role == "secondary" else role
    card = step.get("card", 0)
    player.instance.attach(eni, player.instance.free_device(card), card)
    player.instance.publish_metadata()


def detach(player: Player, step: ScenarioStep) -> None:
    """Detach and delete an ENI."""
    if step.get("name") in player.region.enis:
        player.region.delete_eni(step.get("name"))
        player.instance.publish_metadata()


def give(player: Player, step: ScenarioStep) -> None:
    """Give an ENI more secondary IPs and prefixes."""
    eni = player.region.enis.get(step.get("name"))
    if eni is not None:
        subnet = player.region.subnets[eni.subnet_id]
        _, addresses, prefixes = subnet.place_eni(step.get("ips", 0), step.get("prefixes", 0))
        eni.addresses += addresses
        eni.prefixes += prefixes
        player.instance.publish_metadata()


def take(player: Player, step: ScenarioStep) -> None:
    """Take the last secondary IPs and prefixes of an ENI away."""
    eni = player.region.enis.get(step.get("name"))
    if eni is not None:
        addresses = eni.addresses[max(len(eni.addresses) - step.get("ips", 0), 0) :]
        prefixes = eni.prefixes[max(len(eni.prefixes) - step.get("prefixes", 0), 0) :]
        eni.addresses = eni.addresses[: len(eni.addresses) - len(addresses)]
        eni.prefixes = eni.prefixes[: len(eni.prefixes) - len(prefixes)]
        player.region.subnets[eni.subnet_id].give_back(addresses, prefixes)
        player.instance.publish_metadata()


def checkpoint(player: Player, step: ScenarioStep) -> None:
    """Put entries into the checkpoint, each of a pod that runs."""
    for entry in step.get("entries"):
        sandbox = Sandbox(f"{entry['pod']}-sandbox")
        player.add_running(entry["pod"], sandbox)
        player.instance.checkpoint.append(
            CheckpointEntry(
                container_id=sandbox.container_id,
                ifname=sandbox.ifname,
                network=sandbox.network,
                address=entry["ip"],
                pod=f"default/{entry['pod']}",
            )
        )
