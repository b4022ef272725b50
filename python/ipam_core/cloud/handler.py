"""Which method carries out an effect: one table for every cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core import effects as fx

if TYPE_CHECKING:
    from collections.abc import Mapping

METHODS: Mapping[type[fx.Effect], str] = {
    fx.AssignPrivateIps: "_assign_private_ips",
    fx.AssignPrefixes: "_assign_prefixes",
    fx.AssignIpv6Prefix: "_assign_ipv6_prefix",
    fx.UnassignPrivateIps: "_unassign_private_ips",
    fx.UnassignPrefixes: "_unassign_prefixes",
    fx.CreateEni: "_create_eni",
    fx.FindFreeDevice: "_find_free_device",
    fx.AttachEni: "_attach_eni",
    fx.DeleteWithInstance: "_delete_with_instance",
    fx.SetSecurityGroups: "_set_security_groups",
    fx.DetachEni: "_detach_eni",
    fx.DeleteEni: "_delete_eni",
    fx.TagEni: "_tag_eni",
    fx.TagCreatedAt: "_tag_created_at",
    fx.DescribeEnis: "_describe_enis",
    fx.FindNodelessEnis: "_find_nodeless_enis",
    fx.DescribeSubnets: "_describe_subnets",
    fx.ReadAttachedEnis: "_read_attached_enis",
    fx.ReadNodeTags: "_read_node_tags",
    fx.ReadSecurityGroups: "_read_security_groups",
    fx.ReadUnschedulable: "_read_unschedulable",
    fx.ReadEniConfig: "_read_eni_config",
    fx.ReadCheckpoint: "_read_checkpoint",
    fx.ForgetAssignments: "_forget_assignments",
}
"""Every effect except `Sleep`, which the driver performs, and those of the host's network."""


class EffectHandler:
    """Carries out effects, each by the method of its name, which receives the effect."""

    def answer(self, effect: fx.Effect) -> Any:
        """Carry one effect out and return its reply, or raise its error."""
        return getattr(self, METHODS[type(effect)])(effect)
