"""The services of rpc.proto for a server: what they are called is read from its descriptor."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import message_factory

from ipam_core.agent.protocol import rpc_pb2

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

SERVICES: dict[str, ServiceDescriptor] = dict(rpc_pb2.DESCRIPTOR.services_by_name)
"""The services by name: `CNIBackend` for the plugin, `ConfigServerBackend`."""


def handler_of(service: str, servicer: object) -> grpc.GenericRpcHandler:
    """Return what answers a service: each call by the servicer's method of its name.

    `AddNetwork` is answered by `add_network(request, context)`, which returns the reply.
    """
    described = SERVICES[service]
    return grpc.method_handlers_generic_handler(
        described.full_name,
        {
            method.name: grpc.unary_unary_rpc_method_handler(
                getattr(servicer, method_name(method)),
                request_deserializer=_class_of(method.input_type).FromString,
                response_serializer=_class_of(method.output_type).SerializeToString,
            )
            for method in described.methods
        },
    )


def method_name(method: MethodDescriptor) -> str:
    """Return a call's name as Python writes it: `add_network` for `AddNetwork`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower()


def caller_of(channel: grpc.Channel, service: str, call: str) -> Any:
    """Return what makes a call of a service on a channel: a function of the request."""
    method = SERVICES[service].methods_by_name[call]
    return channel.unary_unary(
        f"/{SERVICES[service].full_name}/{call}",
        request_serializer=_class_of(method.input_type).SerializeToString,
        response_deserializer=_class_of(method.output_type).FromString,
    )


def _class_of(described: Any) -> Any:
    return message_factory.GetMessageClass(described)
