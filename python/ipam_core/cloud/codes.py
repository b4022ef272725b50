"""AWS error codes, and the error class of each: one for each reaction of a node.

Source: the EC2 API reference, "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

from ipam_core.errors import (
    AddressLimitError,
    CloudError,
    DeniedError,
    NotFoundError,
    SubnetFullError,
    ThrottledError,
    UnreachableError,
)

INSUFFICIENT_ADDRESSES = "InsufficientFreeAddressesInSubnet"
INSUFFICIENT_PREFIXES = "InsufficientCidrBlocks"
ADDRESS_LIMIT = "PrivateIpAddressLimitExceeded"
ATTACHMENT_LIMIT = "AttachmentLimitExceeded"
ENI_NOT_FOUND = "InvalidNetworkInterfaceID.NotFound"
ATTACHMENT_NOT_FOUND = "InvalidAttachmentID.NotFound"
REQUEST_LIMIT = "RequestLimitExceeded"

_BY_CODE: dict[str, type[CloudError]] = {
    INSUFFICIENT_ADDRESSES: SubnetFullError,
    INSUFFICIENT_PREFIXES: SubnetFullError,
    ADDRESS_LIMIT: AddressLimitError,
    ENI_NOT_FOUND: NotFoundError,
    ATTACHMENT_NOT_FOUND: NotFoundError,
    "InvalidSubnetID.NotFound": NotFoundError,
    "InvalidInstanceID.NotFound": NotFoundError,
    REQUEST_LIMIT: ThrottledError,
    "Throttling": ThrottledError,
    "ThrottlingException": ThrottledError,
    "EC2ThrottledException": ThrottledError,
    # Server errors: as with no answer at all, the call may have done its work.
    "InternalError": UnreachableError,
    "InternalFailure": UnreachableError,
    "ServiceUnavailable": UnreachableError,
    "Unavailable": UnreachableError,
    "UnauthorizedOperation": DeniedError,
    "AuthFailure": DeniedError,
    "AccessDenied": DeniedError,
    "AccessDeniedException": DeniedError,
    "ExpiredToken": DeniedError,
    "ExpiredTokenException": DeniedError,
    "RequestExpired": DeniedError,
    "InvalidClientTokenId": DeniedError,
    "SignatureDoesNotMatch": DeniedError,
    "OptInRequired": DeniedError,
    "Blocked": DeniedError,
    "UnrecognizedClientException": DeniedError,  # EKS's name for it
    "ResourceNotFoundException": NotFoundError,  # EKS
}


def error_for(api: str, code: str, message: str = "", request_id: str = "") -> CloudError:
    """Return the error for a code; an unknown code is kept, with its message."""
    return _BY_CODE.get(code, CloudError)(api, code, message, request_id)
