"""The VPC that real clients talk to: one account and region, as a plain object.

    vpc = Vpc(seed=1)
    subnet = vpc.account.add_subnet("10.0.0.0/24")
    vpc.call("ec2", "CreateNetworkInterface", {"SubnetId": subnet.subnet_id})

A server puts HTTP, time that passes and faults around it; here a call is answered at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.cloud import refusals
from ipam_core.endpoint.account import ACCOUNT_ID, Account, Delays
from ipam_core.endpoint.actions.table import ACTIONS
from ipam_core.endpoint.saved import account_of, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

__all__ = ["Delays", "Vpc"]


class Vpc:
    """One account's EC2 in one region, with STS and EKS as far as this package asks them.

    `clock_ns` gives nanoseconds since `ipam_core.cloud.region.EPOCH`, and never goes back;
    `seed` decides ids, addresses and MACs: the same calls, seed and times give the same
    replies. `zones` are letters, `cluster` is the name of the EKS cluster.

    Not to be called by several threads at once.
    """

    def __init__(
        self,
        *,
        region: str = "us-east-1",
        account_id: str = ACCOUNT_ID,
        cluster: str = "",
        zones: Iterable[str] = ("a", "b", "c"),
        clock_ns: Callable[[], int] = lambda: 0,
        seed: int = 0,
        delays: Delays | None = None,
    ) -> None:
        self.account: Account = Account(
            region=region,
            account_id=account_id,
            cluster=cluster,
            zones=zones,
            clock_ns=clock_ns,
            seed=seed,
            delays=delays,
        )

    @classmethod
    def from_state(cls, state: Any, clock_ns: Callable[[], int] = lambda: 0) -> Self:
        """Return the VPC of a value that `to_state` made, going on as that one would have.

        `clock_ns` should not be before the value's `time_ns`.

        Raises:
            InputError: it is no such value, or contradicts itself; the first fault is named.
        """
        vpc = cls.__new__(cls)
        vpc.account = account_of(state, clock_ns)
        return vpc

    def to_state(self) -> dict[str, Any]:
        """Return all of it as a plain value of JSON, chance and what is pending included."""
        return state_of(self.account)

    def call(self, service: str, action: str, params: dict[str, Any]) -> dict[str, Any]:
        """Do one call and return its reply; both by botocore's names.

        It is done completely, or refused and nothing has changed. `params` are of the model's
        types, with what it requires, as `query.parse` gives them and botocore checks them.

        Raises:
            Ec2Error: the call is refused, as EC2 (STS, EKS) refuses it.
        """
        function = ACTIONS.get((service, action))
        if function is None:
            raise refusals.INVALID_ACTION(action[:200])
        self.account.settle()
        if params.get("DryRun"):
            raise refusals.DRY_RUN()
        return function(self.account, params)
