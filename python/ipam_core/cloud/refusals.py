"""How EC2 refuses a call: each code with its text, as clients match on them, and its source.

Sources are named by letter:

    A  EC2 API reference, "Error codes for the Amazon EC2 API"
    B  EC2 API reference, the action's own page, or "Ensuring idempotency"
    C  clients that met it, in issues and logs, or in code of theirs that matches on the text:
       aws/amazon-vpc-cni-k8s (pkg/awsutils, 989, 1773, 1836, 3105), cilium/cilium (8830, 15877,
       31016, and its ENI allocator), hashicorp/terraform-provider-aws (146, 23114, and
       internal/service/ec2/errors.go), boto/boto 933, boto/boto3 2673, aws/aws-cli (21, 809),
       aws/aws-sdk-java 911, getmoto/moto 6282, rust-lang/bors 830,
       redhat-performance/cloud-governance 952
    D  the code is EC2's; its text is worded here in EC2's way, for want of one that was seen
"""

from __future__ import annotations

from ipam_core._dataclass import dataclass
from ipam_core.cloud import codes


class Ec2Error(Exception):
    """A call that EC2 refuses: its code, its text, and the status of the HTTP answer."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status

    def __reduce__(self) -> tuple[type[Ec2Error], tuple[str, str, int]]:
        """Carry all three facts when copied or pickled."""
        return Ec2Error, (self.code, self.message, self.status)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One way in which EC2 refuses. Called with what its text names, it is the error."""

    code: str
    text: str
    source: str
    status: int = 400

    def __call__(self, *named: object) -> Ec2Error:
        """Return the error, with `named` put into its text."""
        return Ec2Error(self.code, self.text.format(*named), self.status)

    def text_of(self, text: str) -> Ec2Error:
        """Return the error with another text, as an action has it."""
        return Ec2Error(self.code, text, self.status)


# --- the request as such ------------------------------------------------------------------

INVALID_ACTION = Refusal("InvalidAction", "The action {} is not valid for this web service.", "A")
MISSING_ACTION = Refusal("MissingAction", "The request must contain the parameter Action.", "AD")
NO_SUCH_VERSION = Refusal(
    "NoSuchVersion", "The requested version ({}) of service {} does not exist", "C"
)
MISSING_PARAMETER = Refusal("MissingParameter", "The request must contain the parameter {}", "AC")
UNKNOWN_PARAMETER = Refusal("UnknownParameter", "The parameter {} is not recognized", "AC")
MALFORMED_QUERY = Refusal("MalformedQueryString", "The query string is malformed: {}", "AD")
INVALID_CHARACTER = Refusal("InvalidCharacter", "The request has an invalid character.", "AD")
INVALID_VALUE = Refusal("InvalidParameterValue", "Value ({}) for parameter {} is invalid. {}", "AC")
INVALID_PARAMETER = Refusal("InvalidParameter", "{}", "A")
INVALID_COMBINATION = Refusal("InvalidParameterCombination", "{}", "A")
DRY_RUN = Refusal(
    "DryRunOperation", "Request would have succeeded, but DryRun flag is set.", "AC", 412
)
REQUEST_LIMIT = Refusal(codes.REQUEST_LIMIT, "Request limit exceeded.", "AC", 503)
INTERNAL_ERROR = Refusal("InternalError", "An internal error has occurred", "AC", 500)
TOKEN_REUSED = Refusal(
    "IdempotentParameterMismatch",
    "Arguments on this idempotent request are inconsistent with arguments used in previous "
    "request(s).",
    "BC",
)
INVALID_NEXT_TOKEN = Refusal(
    "InvalidParameterValue",
    "Value ( {} ) for parameter NextToken is invalid. The token is invalid.",
    "C",
)
IDS_WITH_PAGES = Refusal(
    "InvalidParameterCombination",
    "The parameter {} cannot be used with the parameter maxResults",
    "C",
)
INVALID_FILTER = Refusal("InvalidParameterValue", "The filter '{}' is invalid", "AC")
TOO_MANY_VALUES = Refusal(
    "FilterLimitExceeded",
    "The maximum number of filter values specified on a single call is {}",
    "AC",
)

# --- what does not exist, or has no such form -----------------------------------------------

ENI_NOT_FOUND = Refusal(codes.ENI_NOT_FOUND, "The networkInterface ID '{}' does not exist", "AC")
ENI_ID_MALFORMED = Refusal("InvalidNetworkInterfaceId.Malformed", "Invalid id: \"{}\" "
                           "(expecting \"eni-...\")", "AD")  # fmt: skip
ATTACHMENT_NOT_FOUND = Refusal(
    codes.ATTACHMENT_NOT_FOUND, "The attachment ID '{}' does not exist", "AD"
)
ATTACHMENT_ID_MALFORMED = Refusal(
    "InvalidNetworkInterfaceAttachmentId.Malformed",
    'Invalid id: "{}" (expecting "eni-attach-...")',
    "AD",
)
SUBNET_NOT_FOUND = Refusal("InvalidSubnetID.NotFound", "The subnet ID '{}' does not exist", "AC")
SUBNET_ID_MALFORMED = Refusal(
    "InvalidSubnetId.Malformed", 'Invalid id: "{}" (expecting "subnet-...")', "AD"
)
INSTANCE_NOT_FOUND = Refusal(
    "InvalidInstanceID.NotFound", "The instance ID '{}' does not exist", "AC"
)
INSTANCE_ID_MALFORMED = Refusal(
    "InvalidInstanceID.Malformed", 'Invalid id: "{}" (expecting "i-...")', "AC"
)
VPC_NOT_FOUND = Refusal("InvalidVpcID.NotFound", "The vpc ID '{}' does not exist", "AC")
GROUP_NOT_FOUND = Refusal("InvalidGroup.NotFound", "The security group '{}' does not exist", "AC")
GROUP_ID_MALFORMED = Refusal(
    "InvalidGroupId.Malformed", 'Invalid id: "{}" (expecting "sg-...")', "AC"
)
RESERVATION_NOT_FOUND = Refusal(
    "InvalidSubnetCidrReservationID.NotFound",
    "The subnet CIDR reservation ID '{}' does not exist",
    "C",
)
RESOURCE_ID_INVALID = Refusal("InvalidID", "The ID '{}' is not valid", "A")
NO_SUBNETS = Refusal(
    "MissingInput", "No subnets found for the default VPC '{}'. Please specify a subnet.", "AC"
)
NO_DEFAULT_VPC = Refusal("VPCIdNotSpecified", "No default VPC for this user", "AC")
ZONE_NOT_FOUND = Refusal("InvalidParameterValue", "Invalid availability zone: [{}]", "AC")
TYPE_UNKNOWN = Refusal("InvalidInstanceType", "The following supplied instance types do not "
                       "exist: [{}]", "AC")  # fmt: skip

# --- limits, and what is in use -------------------------------------------------------------

ATTACHMENT_LIMIT = Refusal(
    codes.ATTACHMENT_LIMIT, "Interface count {} exceeds the limit for {}", "AC"
)
ADDRESS_LIMIT = Refusal(codes.ADDRESS_LIMIT, "Number of private addresses will exceed limit.", "AC")
SUBNET_FULL = Refusal(
    codes.INSUFFICIENT_ADDRESSES,
    "The specified subnet does not have enough free addresses to satisfy the request.",
    "AC",
)
NO_FREE_BLOCKS = Refusal(
    codes.INSUFFICIENT_PREFIXES,
    "The specified subnet does not have enough free cidr blocks to satisfy the request.",
    "AC",
)
NEW_ENI_FULL = Refusal(
    "InvalidParameterValue", "There aren't sufficient free Ipv4 addresses or prefixes", "C"
)
"""Of a new ENI with prefixes, where the subnet has fewer free addresses than it needs; where
no /28 of them is free, it is `NO_FREE_BLOCKS` (cilium 31016, amazon-vpc-cni-k8s 3105)."""
IPV6_LIMIT = Refusal("Ipv6AddressLimitExceeded", "Number of IPv6 addresses will exceed limit.", "D")
NO_IPV6 = Refusal(
    "InvalidParameterValue", "Subnet {} does not have an IPv6 CIDR block associated with it.", "D"
)
ENI_ATTACHED = Refusal("InvalidNetworkInterface.InUse", "Interface: [{}] in use.", "AC")
ENI_IN_USE = Refusal("InvalidParameterValue", "Network interface '{}' is currently in use.", "AC")
BAD_ADDRESS = Refusal("InvalidParameterValue", "invalid value for parameter address: {}", "AC")
ADDRESS_OUTSIDE = Refusal(
    "InvalidParameterValue", "Address does not fall within the subnet's address range", "AC"
)
ADDRESS_RESERVED = Refusal(
    "InvalidParameterValue", "Address {} is in subnet's reserved address range", "AC"
)
MOVE_NOT_ALLOWED = Refusal("InvalidParameterValue", "[{}] assigned, but move is not allowed.", "AC")
NOT_ASSIGNED = Refusal(
    "InvalidParameterValue",
    "Some of the specified addresses are not assigned to interface {}",
    "AC",
)
ADDRESS_IN_USE = Refusal("InvalidIPAddress.InUse", "The specified address is already in use.", "AC")
DEVICE_TAKEN = Refusal(
    "InvalidParameterValue",
    "Instance '{}' already has an interface attached at device index '{}'.",
    "AC",
)
INCORRECT_STATE = Refusal(
    "IncorrectState",
    "Instance '{}' is in an invalid state: {}. It must be pending or running.",
    "AD",
)
OTHER_ZONE = Refusal(
    "InvalidParameterCombination",
    "You may not attach a network interface to an instance if they are not in the same "
    "availability zone",
    "AC",
)
DETACHING = Refusal("IncorrectState", "The attachment '{}' is being detached.", "AD")
PRIMARY_STAYS = Refusal(
    "OperationNotPermitted",
    "The network interface at device index 0 and networkCard index 0 cannot be detached.",
    "AC",
)
GROUP_ELSEWHERE = Refusal(
    "InvalidGroup.NotFound",
    "You have specified two resources that belong to different networks.",
    "AC",
)
BAD_CIDR = Refusal(
    "InvalidParameterValue",
    "Value ({}) for parameter cidrBlock is invalid. This is not a valid CIDR block.",
    "AC",
)
SUBNET_RANGE = Refusal("InvalidSubnet.Range", "The CIDR '{}' is invalid.", "AC")
SUBNET_CONFLICT = Refusal(
    "InvalidSubnet.Conflict", "The CIDR '{}' conflicts with another subnet", "AC"
)
CLUSTER_NOT_FOUND = Refusal("ResourceNotFoundException", "No cluster found for name: {}.", "C", 404)
TOO_MANY_GROUPS = Refusal(
    "SecurityGroupsPerInterfaceLimitExceeded",
    "The maximum number of security groups per interface has been reached.",
    "AC",
)
TOO_MANY_TAGS = Refusal("TagLimitExceeded", "The maximum number of tags has been reached.", "AD")
DUPLICATE_TAG = Refusal("InvalidParameterValue", "Duplicate tag key '{}' specified.", "AC")
RESERVED_TAG = Refusal(
    "InvalidParameterValue",
    "Tag keys starting with 'aws:' are reserved for internal use",
    "AC",
)
