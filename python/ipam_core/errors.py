"""Every error that the package raises on purpose, each with its facts as attributes.

One base class, one subclass for each thing a caller would do differently. This
module imports nothing from the package.
"""

from __future__ import annotations

import reprlib
from typing import Any

_shortened = reprlib.Repr()
_shortened.maxother = _shortened.maxstring = 100


class IpamError(Exception):
    """The base of every error of this package. Errors can be copied and pickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Carry text and facts: the constructors take keywords, which a copy has no need of."""
        return _as_it_was, (type(self), self.args), self.__dict__


def _as_it_was(kind: type[IpamError], args: tuple[Any, ...]) -> IpamError:
    return kind.__new__(kind, *args)


# --- the address pool -------------------------------------------------------


class PoolExhaustedError(IpamError):
    """No address can be given now: all are assigned or cooling."""

    def __init__(self, *, total: int, assigned: int, cooling: int) -> None:
        super().__init__(
            f"no available IP/Prefix addresses: {total} in all, "
            f"{assigned} assigned, {cooling} cooling"
        )
        self.total = total
        self.assigned = assigned
        self.cooling = cooling


class NotReadyError(IpamError):
    """The node has not started and answers no pod yet. The kubelet asks again."""

    def __init__(self) -> None:
        super().__init__("the node has not started: its assignments are not restored yet")


class UnknownSandboxError(IpamError):
    """The sandbox holds no address."""

    def __init__(self, sandbox: object) -> None:
        super().__init__(f"{sandbox!r} holds no address")
        self.sandbox = sandbox


class UnknownEniError(IpamError):
    """The ENI is not in the store."""

    def __init__(self, eni_id: str) -> None:
        super().__init__(f"ENI {eni_id!r} is not attached")
        self.eni_id = eni_id


class UnknownAddressError(IpamError):
    """The address or prefix is not in the store or subnet."""

    def __init__(self, address: str, where: str) -> None:
        super().__init__(f"{address} is not on {where}")
        self.address = address
        self.where = where


class DuplicateError(IpamError):
    """What is added is already there."""

    def __init__(self, kind: str, value: str) -> None:
        super().__init__(f"{kind} {value} is there already")
        self.kind = kind
        self.value = value


class AddressInUseError(IpamError):
    """What is to be removed or taken is assigned, belongs to another, or is cooling."""

    def __init__(self, what: str, n_assigned: int = 1, *, n_cooling: int = 0) -> None:
        state = "is cooling" if n_cooling else f"is in use ({n_assigned} assigned)"
        super().__init__(f"{what} {state}")
        self.what = what
        self.n_assigned = n_assigned
        self.n_cooling = n_cooling


class CapacityError(IpamError):
    """The store cannot hold more: slots of an ENI, or ENIs of a card."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"{what}: at most {limit}")
        self.what = what
        self.limit = limit


class ForkedError(IpamError):
    """A forked child uses what only its parent can: make or open one in the child."""

    def __init__(self, what: str, pid: int) -> None:
        super().__init__(f"{what} belongs to process {pid}, of which this one is a fork")
        self.what = what
        self.pid = pid


class SnapshotError(IpamError):
    """Bytes that cannot be restored: no snapshot, damaged, or of another version."""


# --- the subnet ---------------------------------------------------------------


class SubnetExhaustedError(IpamError):
    """The subnet has fewer free addresses than asked for."""

    def __init__(self, cidr: str, *, asked: int, free: int) -> None:
        super().__init__(f"subnet {cidr}: {asked} addresses asked for, {free} free")
        self.cidr = cidr
        self.asked = asked
        self.free = free


class NoFreePrefixError(IpamError):
    """The subnet has fewer free /28 blocks than asked for."""

    def __init__(self, cidr: str, *, asked: int, free_prefixes: int, free: int) -> None:
        super().__init__(
            f"subnet {cidr}: {asked} free /28s asked for, {free_prefixes} free "
            f"({free} single addresses free)"
        )
        self.cidr = cidr
        self.asked = asked
        self.free_prefixes = free_prefixes
        self.free = free


class ReservationError(IpamError):
    """A CIDR reservation is outside its subnet or overlaps another."""

    def __init__(self, cidr: str, why: str) -> None:
        super().__init__(f"CIDR reservation {cidr}: {why}")
        self.cidr = cidr
        self.why = why


# --- input --------------------------------------------------------------------


class InputError(IpamError):
    """What was read cannot be used; the message quotes it and says what is allowed."""


class UnknownInstanceTypeError(InputError):
    """The instance type is not in the table."""

    def __init__(self, name: str, nearest: tuple[str, ...]) -> None:
        hint = f"; nearest: {', '.join(nearest)}" if nearest else ""
        super().__init__(f"unknown instance type {name!r}{hint}")
        self.name = name
        self.nearest = nearest


class MissingExtraError(IpamError, ImportError):
    """A feature needs an optional dependency that is not installed.

    `module` is set where the dependency itself is there, and a module that it imports is not:
    pip installs that too.
    """

    def __init__(self, extra: str, purpose: str, module: str = "") -> None:
        only = f" (only its module {module!r} is missing)" if module else ""
        super().__init__(
            f"{purpose} needs the extra {extra!r}: pip install 'ipam-core[{extra}]'{only}"
        )
        self.extra = extra
        self.purpose = purpose
        self.module = module


# --- the cloud ----------------------------------------------------------------


class CloudError(IpamError):
    """A call of EC2 or of Kubernetes, or a metadata read failed; `code` is what they call it."""

    def __init__(self, api: str, code: str, message: str = "", request_id: str = "") -> None:
        text = f"{api}: {code}" + (f": {message}" if message else "")
        super().__init__(text + (f" (request {request_id})" if request_id else ""))
        self.api = api
        self.code = code
        self.message = message
        self.request_id = request_id


class SubnetFullError(CloudError):
    """EC2 says that the subnet has no room: of addresses, or of free /28s."""


class AddressLimitError(CloudError):
    """EC2 says that the ENI holds as many addresses as it may."""


class ThrottledError(CloudError):
    """EC2 says that calls come too fast."""


class DeniedError(CloudError):
    """The credentials do not allow the call, or have expired."""


class NotFoundError(CloudError):
    """The resource that the call names does not exist."""


class GoneError(CloudError):
    """Kubernetes no longer has the state that the call goes on from: list again."""


class ReplyError(CloudError):
    """The reply to an effect is not valid; `effect` is the effect's name, `reply` the reply."""

    def __init__(self, effect: object, why: str, reply: object) -> None:
        name = type(effect).__name__
        super().__init__(name, "InvalidReply", f"{why}: {_shortened.repr(reply)}")
        self.effect = name
        self.reply = reply


class HostNetworkError(CloudError):
    """The host's network could not be set up; `api` is the effect's name, `code` the errno's."""


class UnreachableError(CloudError):
    """No answer, so it is unknown what was done: refused, timed out, cut off, a server error."""


# --- durable state ------------------------------------------------------------


class CheckpointError(IpamError):
    """The checkpoint cannot be read or written; `path` is its file."""

    def __init__(self, path: object, why: str) -> None:
        super().__init__(f"checkpoint {path}: {why}")
        self.path = path
        self.why = why


class CheckpointWriteError(CheckpointError):
    """A change could not be made durable and was undone; the cause is `__cause__`.

    The next call works again once the cause is gone.
    """


class NotRestoredError(CheckpointError):
    """The checkpoint holds an address for a sandbox that the store does not know.

    Restore the store from its checkpoint first; no address is assigned before that.
    """

    def __init__(self, path: object, address: str, sandbox: object) -> None:
        super().__init__(path, f"holds {address} for {sandbox!r}: restore the store from it first")
        self.address = address
        self.sandbox = sandbox


class CheckpointBusyError(CheckpointError):
    """Another process has the checkpoint open."""


class CheckpointDamagedError(CheckpointError):
    """What was read is not what was written; `problems` lists all that was found."""

    def __init__(self, path: object, problems: tuple[str, ...]) -> None:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(path, f"damaged: {problems[0]}{more}")
        self.problems = problems


class CheckpointVersionError(CheckpointError):
    """The checkpoint was written by a newer ipam-core."""

    def __init__(self, path: object, *, version: int, newest: int) -> None:
        super().__init__(path, f"is of version {version}, this ipam-core knows up to {newest}")
        self.version = version
        self.newest = newest
