"""What a reply to an effect must be: the one place where a node's input is validated.

A cloud, a metadata service, Kubernetes and a checkpoint are outside: their replies may be
None, lack a field, or hold an address that is not valid. A node's steps see only replies that
have the form which `ipam_core.effects` documents. Any other reply raises a `ReplyError` with
the effect's name, where the error of a failed call would be raised.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from ipam_core import effects as fx
from ipam_core.errors import IpamError, ReplyError
from ipam_core.tags import NODE_TAG

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipam_core.effects import Effect, Step

T = TypeVar("T")

MOST_SLOTS = 63
"""Secondary IPs and prefixes that an ENI holds at most, as `DataStore` does."""
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
MOST_AGE_S = 4e9
"""No assignment is older than this: 126 years."""
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
"""What `ipaddress.IPv4Address` takes; a fleet has too many addresses to keep what was parsed."""


# --- single values ----------------------------------------------------------------


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_part(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**31


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_age(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= MOST_AGE_S


def _is_ipv4(value: Any) -> bool:
    return isinstance(value, str) and _IPV4.fullmatch(value) is not None


def _is_ipv4_or_empty(value: Any) -> bool:
    return isinstance(value, str) and (value == "" or _is_ipv4(value))


def _is_mac_or_empty(value: Any) -> bool:
    return isinstance(value, str) and (value == "" or _MAC.fullmatch(value) is not None)


def _is_ipv4_block_or_empty(value: Any) -> bool:
    return isinstance(value, str) and (value == "" or _parses(ipaddress.IPv4Network, value))


def _is_ip(value: Any) -> bool:
    return isinstance(value, str) and _parses(ipaddress.ip_address, value)


def _is_prefix(value: Any) -> bool:
    return isinstance(value, str) and value.endswith("/28") and _parses(_network, value)


def _is_ipv6_prefix(value: Any) -> bool:
    return isinstance(value, str) and value.endswith("/80") and _parses(_network, value)


def _network(text: str) -> object:
    return ipaddress.ip_network(text, strict=True)


@lru_cache(maxsize=16_384)
def _parses(parse: Callable[[str], object], text: str) -> bool:
    """Return whether a text parses. Cached: a node reads the same addresses every minute."""
    if "%" in text:  # a zone is valid on one host only, and not part of an address
        return False
    try:
        parse(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1024)
def _prefix_around(address: str) -> str:
    """Return the /28 that an address is in; "" for none."""
    return str(ipaddress.ip_network(f"{address}/28", strict=False)) if address else ""


# --- several ------------------------------------------------------------------------


def _all(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return a check of a list of different values."""

    def is_all(values: Any) -> bool:
        return (
            isinstance(values, tuple | list)
            and all(map(check, values))
            and len(set(values)) == len(values)
        )

    return is_all


def _or_none(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def _are_tags(value: Any) -> bool:
    return isinstance(value, dict) and all(
        _is_text(key) and _is_text(text) for key, text in value.items()
    )


_IPV4S = _all(_is_ipv4), "different IPv4 addresses"
_PREFIXES = _all(_is_prefix), "different IPv4 /28s"
_IPV6_PREFIXES = _all(_is_ipv6_prefix), "different IPv6 /80s"
_NAME = _is_name, "a text that is not empty"
_TEXT = _is_text, "a text"
_PART = _is_part, "a text without NUL"
_NUMBER = _is_number, "an integer from 0 to 2147483647"
_AGE = _is_age, f"seconds from 0 to {MOST_AGE_S:g}"
_TAGS = _are_tags, "texts by text"

_GROUPS = _all(_is_name), "different texts that are not empty"

FIELDS: dict[type, dict[str, tuple[Callable[[Any], bool], str]]] = {
    fx.AttachedEni: {
        "eni_id": _NAME,
        "device_number": _NUMBER,
        "network_card": _NUMBER,
        "primary_address": (_is_ipv4_or_empty, "an IPv4 address or empty"),
        "subnet_id": _TEXT,
        "mac": (_is_mac_or_empty, "a MAC address in lower case or empty"),
        "subnet_cidr": (_is_ipv4_block_or_empty, "an IPv4 block or empty"),
        "addresses": _IPV4S,
        "prefixes": _PREFIXES,
        "ipv6_prefixes": _IPV6_PREFIXES,
    },
    fx.EniDescription: {
        "eni_id": _NAME,
        "addresses": _IPV4S,
        "prefixes": _PREFIXES,
        "ipv6_prefixes": _IPV6_PREFIXES,
        "attachment_id": (_or_none(_is_name), "a text that is not empty, or None"),
        "instance_id": (_or_none(_is_name), "a text that is not empty, or None"),
        "interface_type": _NAME,
        "status": _TEXT,
        "description": _TEXT,
        "tags": _TAGS,
    },
    fx.SubnetDescription: {
        "subnet_id": _NAME,
        "available_addresses": (_is_count, "an integer from 0 on"),
        "tags": _TAGS,
    },
    fx.EniConfig: {
        "subnet_id": _NAME,
        "security_groups": _GROUPS,
    },
    fx.CheckpointEntry: {
        "container_id": _PART,
        "ifname": _PART,
        "network": _PART,
        "address": (_is_ip, "an IP address"),
        "pod": (_or_none(_is_text), "a text or None"),
        "assigned_ago_s": _AGE,
        "released_ago_s": (_or_none(_is_age), f"seconds from 0 to {MOST_AGE_S:g}, or None"),
    },
}
"""For every field of each value in a reply: what it must be, as a check and in words."""


class Replies:
    """Validates the replies to one node. It remembers each ENI's primary address.

    Cost: one look-up for an address that was seen before.
    """

    def __init__(self) -> None:
        self.primary_addresses: dict[str, str] = {}
        """The primary address of each ENI, as metadata last showed it."""

    def checked(self, step: Step[T]) -> Step[T]:
        """Yield a step's effects, and send it only valid replies."""
        try:
            effect = next(step)
            while True:
                try:
                    reply = self.validate(effect, (yield effect))
                except IpamError as error:
                    effect = step.throw(error)
                else:
                    effect = step.send(reply)
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            step.close()

    def validate(self, effect: Effect, reply: Any) -> Any:
        """Return a reply in its documented form. Raises `ReplyError`.

        The reply to an effect that documents None is dropped.
        """
        check = _CHECKS.get(type(effect))
        return None if check is None else check(self, effect, reply)

    # --- one method for each form ---------------------------------------------------

    def _assigned(self, effect: fx.AssignPrivateIps | fx.AssignPrefixes, reply: Any) -> Any:
        check, words = _IPV4S if isinstance(effect, fx.AssignPrivateIps) else _PREFIXES
        if not check(reply) or len(reply) != effect.count:
            raise ReplyError(effect, f"not {effect.count} {words}", reply)
        self._refuse_primary(effect, effect.eni_id, reply, reply)
        return tuple(reply)

    def _ipv6_prefixes(self, effect: fx.AssignIpv6Prefix, reply: Any) -> Any:
        check, words = _IPV6_PREFIXES
        if not check(reply) or not reply:
            raise ReplyError(effect, f"not {words}", reply)
        return tuple(reply)

    def _name(self, effect: Effect, reply: Any) -> Any:
        if not _is_name(reply):
            raise ReplyError(effect, f"not {_NAME[1]}", reply)
        return reply

    def _device(self, effect: fx.FindFreeDevice, reply: Any) -> Any:
        if not _is_number(reply):
            raise ReplyError(effect, f"not {_NUMBER[1]}", reply)
        return reply

    def _groups(self, effect: fx.ReadSecurityGroups, reply: Any) -> Any:
        if not _GROUPS[0](reply):
            raise ReplyError(effect, f"not {_GROUPS[1]}", reply)
        return tuple(reply)

    def _boolean(self, effect: Effect, reply: Any) -> Any:
        if not isinstance(reply, bool):
            raise ReplyError(effect, "neither True nor False", reply)
        return reply

    def _described(self, effect: fx.DescribeEnis, reply: Any) -> Any:
        found = _values(effect, fx.EniDescription, reply)
        by_id = {each.eni_id: each for each in found}
        if len(by_id) != len(found) or by_id.keys() != set(effect.eni_ids):
            raise ReplyError(effect, f"not one description of each of {effect.eni_ids}", reply)
        for each in found:
            self._refuse_too_many(effect, each)
            self._refuse_primary(effect, each.eni_id, (*each.addresses, *each.prefixes), each)
        return tuple(by_id[eni_id] for eni_id in effect.eni_ids)

    def _found(self, effect: fx.FindNodelessEnis, reply: Any) -> Any:
        found = _values(effect, fx.EniDescription, reply)
        _refuse_duplicates(effect, [each.eni_id for each in found])
        return found

    def _subnets(self, effect: fx.DescribeSubnets, reply: Any) -> Any:
        found = _values(effect, fx.SubnetDescription, reply)
        _refuse_duplicates(effect, [each.subnet_id for each in found])
        return found

    def _attached(self, effect: fx.ReadAttachedEnis, reply: Any) -> Any:
        found = _values(effect, fx.AttachedEni, reply)
        _refuse_duplicates(effect, [each.eni_id for each in found])
        _refuse_duplicates(effect, [(each.network_card, each.device_number) for each in found])
        for each in found:
            self._refuse_too_many(effect, each)
            held = (*each.addresses, *each.prefixes)
            _refuse_held(effect, each.primary_address, held, each)
        self.primary_addresses = {each.eni_id: each.primary_address for each in found}
        return found

    def _tags(self, effect: fx.ReadNodeTags, reply: Any) -> Any:
        if not _are_tags(reply) or NODE_TAG not in reply:
            raise ReplyError(effect, f"not tags with {NODE_TAG}", reply)
        return reply

    def _eni_config(self, effect: fx.ReadEniConfig, reply: Any) -> Any:
        return _value(effect, fx.EniConfig, reply)

    def _entries(self, effect: fx.ReadCheckpoint, reply: Any) -> Any:
        return _values(effect, fx.CheckpointEntry, reply)

    # --- rules for more than one field --------------------------------------------------

    def _refuse_primary(
        self, effect: Effect, eni_id: str, cidrs: Sequence[str], reply: object
    ) -> None:
        _refuse_held(effect, self.primary_addresses.get(eni_id, ""), cidrs, reply)

    def _refuse_too_many(self, effect: Effect, eni: fx.AttachedEni | fx.EniDescription) -> None:
        if len(eni.addresses) + len(eni.prefixes) + len(eni.ipv6_prefixes) > MOST_SLOTS:
            raise ReplyError(effect, f"more than {MOST_SLOTS} slots on {eni.eni_id!r}", eni)


def _refuse_held(effect: Effect, primary: str, cidrs: Sequence[str], reply: object) -> None:
    """Raise where an ENI's primary address, which no pod may have, is among its others."""
    if primary and (primary in cidrs or _prefix_around(primary) in cidrs):
        raise ReplyError(effect, f"the primary address {primary} as a pod's", reply)


def _refuse_duplicates(effect: Effect, keys: Sequence[object]) -> None:
    if len(set(keys)) != len(keys):
        raise ReplyError(effect, "the same one twice", keys)


def _values(effect: Effect, kind: type[T], reply: Any) -> tuple[T, ...]:
    if not isinstance(reply, tuple | list):
        raise ReplyError(effect, f"not a tuple of {kind.__name__}", reply)
    return tuple(_value(effect, kind, each) for each in reply)


def _value(effect: Effect, kind: type[T], value: Any) -> T:
    """Return a value after checking each of its fields."""
    if type(value) is not kind:
        raise ReplyError(effect, f"not {kind.__name__}", value)
    for name, (check, words) in FIELDS[kind].items():
        if not check(getattr(value, name)):
            raise ReplyError(effect, f"{name} is not {words}", getattr(value, name))
    return value


_CHECKS: dict[type[Effect], Callable[[Replies, Any, Any], Any]] = {
    fx.AssignPrivateIps: Replies._assigned,
    fx.AssignPrefixes: Replies._assigned,
    fx.AssignIpv6Prefix: Replies._ipv6_prefixes,
    fx.CreateEni: Replies._name,
    fx.FindFreeDevice: Replies._device,
    fx.AttachEni: Replies._name,
    fx.DescribeEnis: Replies._described,
    fx.FindNodelessEnis: Replies._found,
    fx.DescribeSubnets: Replies._subnets,
    fx.ReadAttachedEnis: Replies._attached,
    fx.ReadNodeTags: Replies._tags,
    fx.ReadSecurityGroups: Replies._groups,
    fx.ReadUnschedulable: Replies._boolean,
    fx.ReadEniConfig: Replies._eni_config,
    fx.ReadCheckpoint: Replies._entries,
}
"""Every effect whose reply is not None."""
