"""botocore's models of the services that are served: which names and types a call has.

moto.core has a parser and a serializer over the same models. They are not used: the parser
drops parameters that it does not know and raises `ValueError` on a wrong type, a page of
100 interfaces takes the serializer 98 ms (here 6), and both need moto with seven packages.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from ipam_core._extras import extra

with extra("vpc", "a served VPC"):
    from botocore.loaders import Loader
    from botocore.model import OperationNotFoundError, ServiceModel

if TYPE_CHECKING:
    from botocore.model import OperationModel

SERVICES = ("ec2", "sts", "eks")


@cache
def model_of(service: str) -> ServiceModel:
    """Return a service's model. Cost: about 0.3 s for ec2, then nothing."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


@cache
def operation(service: str, action: str) -> OperationModel | None:
    """Return the model of an action, None where the service has no such."""
    try:
        return model_of(service).operation_model(action)
    except OperationNotFoundError:
        return None


def wire_name(shape: Any, default: str, *, ec2_query: bool = False) -> str:
    """Return how a member is called in a message.

    `ec2_query`: in a request of EC2's own protocol, where names begin with a capital.
    Source: "Amazon EC2 query protocol" of the Smithy specification.
    """
    if ec2_query and "queryName" in shape.serialization:
        return str(shape.serialization["queryName"])
    name = str(shape.serialization.get("name", default))
    return name[:1].upper() + name[1:] if ec2_query else name
