"""moto's EC2 server, corrected where it answers otherwise than EC2 does.

Each correction cites what EC2 says; the rest is moto as it is.
"""

from __future__ import annotations

import ipaddress
from contextlib import contextmanager
from functools import cache
from unittest import mock

from moto import backends
from moto.core import responses
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import elastic_network_interfaces as models
from moto.ec2.responses import EC2Response
from moto.ec2.responses.elastic_network_interfaces import ElasticNetworkInterfaces as Responses
from moto.server import ThreadedMotoServer


@contextmanager
def uncorrected():
    """Let moto answer as it is meanwhile, also where the corrected server runs in this process."""
    with (
        mock.patch.multiple(
            Responses,
            create_network_interface=_create,
            assign_private_ip_addresses=_assign,
            delete_network_interface=_delete,
        ),
        mock.patch.object(models, "random_private_ip", _random_private_ip),
    ):
        yield


@contextmanager
def serve():
    """Run the server on a free port of the loopback; yield its URL."""
    with (
        mock.patch.multiple(
            Responses,
            create_network_interface=_create_once,
            assign_private_ip_addresses=_reply_what_is_new,
            delete_network_interface=_refuse_attached,
        ),
        mock.patch.object(models, "random_private_ip", _Addresses()),
        mock.patch.object(EC2Response, "call_action", _count_changes),
        # At each request moto lists its modules' folders and a class's members: half its time.
        mock.patch.object(backends, "list_of_moto_modules", cache(_modules)),
        mock.patch.object(
            responses, "method_names_from_class", cache(responses.method_names_from_class)
        ),
    ):
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()


def _modules():
    return list(_list_of_modules())


_list_of_modules = backends.list_of_moto_modules


class _Addresses:
    """No two ENIs have the same address; moto draws with replacement, reserved ones too."""

    def __init__(self):
        self._given = {}

    def __call__(self, cidr, ipv6=False):
        assert not ipv6
        self._given[cidr] = self._given.get(cidr, 99) + 1
        return str(ipaddress.ip_network(cidr)[self._given[cidr]])


n_changes = 0
"""How many requests came to their end that may have changed something."""
_call_action = EC2Response.call_action


def _count_changes(self):
    global n_changes  # noqa: PLW0603 - one server, and one count of it
    answer = _call_action(self)
    n_changes += not self._get_action().startswith("Describe")
    return answer


_random_private_ip = models.random_private_ip
_create = Responses.create_network_interface
_delete = Responses.delete_network_interface
_assign = Responses.assign_private_ip_addresses


def _create_once(self):
    """A client token makes one ENI, and belongs to one request.

    EC2 developer guide, "Ensuring idempotency in Amazon EC2 API requests".
    """
    token = self._get_param("ClientToken")
    parameters = dict(self.params)
    created = self.ec2_backend.__dict__.setdefault("created_by_token", {})
    if token not in created:
        created[token] = (parameters, _create(self))
    first, result = created[token]
    if first != parameters:
        raise EC2ClientError("IdempotentParameterMismatch", f"{token}: other parameters")
    return result


def _reply_what_is_new(self):
    """The reply lists what this call assigned (EC2 API reference), not all that there is."""
    eni = self.ec2_backend.get_network_interface(self._get_param("NetworkInterfaceId"))
    before = list(eni.private_ip_addresses)
    result = _assign(self)
    result.result["AssignedPrivateIpAddresses"] = [
        each for each in eni.private_ip_addresses if each not in before
    ]
    return result


def _refuse_attached(self):
    """An attached ENI cannot be deleted (EC2 API reference, DeleteNetworkInterface)."""
    eni = self.ec2_backend.get_network_interface(self._get_param("NetworkInterfaceId"))
    if eni.attachment_id:
        raise EC2ClientError("InvalidParameterValue", f"{eni.id} is currently in use")
    return _delete(self)
