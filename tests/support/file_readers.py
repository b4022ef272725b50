"""Every reader of files, with a document that it reads and the call that reads it."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from support.mutation import as_json

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
NODE = ROOT / "examples" / "stuck-node"
CASES = ROOT / "tests" / "doctor" / "cases"


@dataclass(frozen=True)
class Target:
    """A reader: a call of the command, `FILE` standing for the file, and what is in it.

    `beside` are files next to it.
    """

    call: tuple[str, ...]
    document: Any
    name: str = "file.json"
    written: Callable[[Any], bytes] = as_json
    beside: dict[str, bytes] = field(default_factory=dict)


def _yaml(document):
    return yaml.safe_dump(document, allow_unicode=True).encode("utf-8", "surrogatepass")


def _lines(document):
    return b"\n".join(as_json(line) for line in document) + b"\n"


def _csv(document):
    rows = (row if isinstance(row, list) else [row] for row in document)
    return "\n".join(",".join(map(str, row)) for row in rows).encode("utf-8", "surrogatepass")


def _bundle(document):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, content in document.items():
            text = content if isinstance(content, str) else json.dumps(content)
            body = text.encode("utf-8", "surrogatepass")
            member = tarfile.TarInfo(name.replace("\ud800", "?").replace("\0", "?"))
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return gzip.compress(raw.getvalue(), 1)


def _json(path):
    return json.loads(path.read_text("utf-8"))


def _log_lines(path, most=12):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()[:most]]


EXPLAIN = ("explain", "--instance", "m5.large", "--max-pods", "6")
MANIFEST = {
    "kind": "DaemonSet",
    "metadata": {"name": "aws-node", "namespace": "kube-system"},
    "spec": {
        "selector": {"matchLabels": {"k8s-app": "aws-node"}},
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "aws-node",
                        "image": "public.ecr.aws/eks/amazon-k8s-cni:v1.19.0",
                        "env": [
                            {"name": "WARM_IP_TARGET", "value": "5"},
                            {"name": "MINIMUM_IP_TARGET", "value": "2"},
                            {"name": "MY_NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "a"}}},
                        ],
                    }
                ]
            }
        },
    },
}
SCENARIO = {
    "id": "a",
    "instance_type": "m5.large",
    "env": {"WARM_IP_TARGET": "2"},
    "max_pods": 20,
    "node": {"unmanaged_enis": 1, "metadata_lag_s": 1, "enis_per_card": [3]},
    "steps": [
        {"op": "boot"},
        {"op": "subnet", "free_ips": 90},
        {"op": "ec2_fail", "api": "CreateNetworkInterface", "code": "X", "times": 1},
        {"op": "add_pods", "n": 12, "each_settled": False},
        {"op": "run", "seconds": 60},
        {"op": "del_pods", "n": 2, "order": "oldest"},
        {"op": "restart", "env": {"WARM_IP_TARGET": "1", "MINIMUM_IP_TARGET": None}},
        {"op": "settle", "never": False, "label": "done"},
        {"op": "expect", "total_ips": {"min": 1, "max": 30}, "ec2": {"CreateTags": 0}},
    ],
    "expect": {"pending_pods": 0, "total_ips": {"one_of": [12, 13]}},
}
FLEET = {
    "name": "few",
    "duration": "3m",
    "measure_from": "10s",
    "seed": 1,
    "subnets": [{"id": "s", "cidr": "10.0.0.0/24", "used": 9}],
    "nodes": [
        {"name": "web", "instance_type": "m5.large", "count": 2, "env": {"WARM_IP_TARGET": "2"}},
        {
            "name": "app",
            "instance_type": "m5.large",
            "count": 1,
            "subnets": ["s"],
            "autoscale": {"max": 2, "boot": "10s", "empty_for": "20s"},
        },
    ],
    "workloads": [
        {"kind": "burst", "pods": 4, "at": "20s", "lifetime": "30s", "nodes": "web"},
        {"kind": "ramp", "pods": 3, "at": "6s", "over": "30s"},
        {"kind": "churn", "pods_per_node": 1, "lifetime": "40s"},
        {"kind": "daemon_set"},
        {"kind": "rolling_update", "pods": 3, "at": "1m", "max_surge": "50%", "times": 1},
    ],
    "rollouts": [{"at": "90s", "env": {"WARM_IP_TARGET": "3"}, "max_unavailable": "50%"}],
    "ec2": {
        "latency": {"CreateNetworkInterface": {"median": "1.5s", "p99": "3.5s"}},
        "throttling": {"CreateNetworkInterface": {"burst": 5, "per_second": 1}},
        "faults": [{"api": "CreateTags", "code": "X", "times": 1, "probability": 0.5}],
        "metadata_lag": "2.5s",
    },
}
POD_EVENTS = [
    ["time", "node", "pod", "action"],
    ["0", "", "a", "add"],
    ["10s", "web-0", "b", "add"],
    ["1m", "web-0", "b", "remove"],
    ["90", "", "a", "remove"],
]
OF_EVENTS = {
    "duration": "2m",
    "nodes": [{"name": "web", "instance_type": "m5.large", "count": 1}],
    "workloads": [{"kind": "csv", "file": "events.csv"}],
}
SUBNETS = {
    "Subnets": [
        {"SubnetId": "subnet-1", "CidrBlock": "10.0.0.0/24", "AvailableIpAddressCount": 245}
    ],
    "NetworkInterfaces": [
        {
            "NetworkInterfaceId": "eni-1",
            "SubnetId": "subnet-1",
            "InterfaceType": "interface",
            "Description": "aws-K8S-i-1",
            "PrivateIpAddresses": [
                {"Primary": True, "PrivateIpAddress": "10.0.0.10"},
                {"Primary": False, "PrivateIpAddress": "10.0.0.11"},
            ],
            "Ipv4Prefixes": [{"Ipv4Prefix": "10.0.0.32/28"}],
            "Attachment": {"InstanceId": "i-1", "DeviceIndex": 0, "InstanceOwnerId": "1"},
            "TagSet": [{"Key": "node.k8s.amazonaws.com/instance_id", "Value": "i-1"}],
        }
    ],
    "SubnetIpv4CidrReservations": [
        {"SubnetId": "subnet-1", "Cidr": "10.0.0.128/26", "ReservationType": "prefix"}
    ],
    "Reservations": [
        {"Instances": [{"InstanceId": "i-1", "InstanceType": "m5.large", "Tags": []}]}
    ],
    "items": [
        {
            "kind": "Pod",
            "metadata": {"ownerReferences": [{"kind": "ReplicaSet"}]},
            "spec": {},
            "status": {"phase": "Running", "podIP": "10.0.0.33"},
        }
    ],
}
ENIS = {
    "0": {
        "TotalIPs": 3,
        "AssignedIPs": 1,
        "ENIs": {
            "eni-1": {
                "ID": "eni-1",
                "IsPrimary": True,
                "DeviceNumber": 0,
                "SubnetID": "subnet-1",
                "AvailableIPv4Cidrs": {
                    "10.0.1.16/28": {
                        "IPAddresses": {
                            "10.0.1.16": {
                                "Address": "10.0.1.16",
                                "IPAMKey": {"networkName": "n", "containerID": "", "ifName": ""},
                                "IPAMMetadata": {"k8sPodNamespace": "a", "k8sPodName": "b"},
                                "AssignedTime": "2026-03-12T02:57:50Z",
                                "UnassignedTime": "0001-01-01T00:00:00Z",
                            }
                        },
                        "IsPrefix": True,
                    },
                    "10.0.1.5/32": {"IPAddresses": {}, "IsPrefix": False},
                },
            }
        },
    }
}
AGENTS_FILE = _json(ROOT / "examples" / "ipam.json")
EVENTS = _json(NODE / "events.json")
EVENTS["items"] = EVENTS["items"][:3]
TRAIL = {
    "Records": [
        {
            "eventTime": "2026-03-12T02:58:06Z",
            "eventSource": "ec2.amazonaws.com",
            "eventName": "CreateNetworkInterface",
            "eventID": "1",
            "errorCode": "Client.UnauthorizedOperation",
            "errorMessage": "You are not authorized to perform this operation.",
            "userIdentity": {"arn": "arn:aws:sts::1:assumed-role/node/i-1"},
            "userAgent": "amazon-vpc-cni-k8s",
        }
    ]
}
LOG = [
    {
        "level": "debug",
        "ts": "2026-03-12T02:58:00.000Z",
        "caller": "ipamd/ipamd.go:731",
        "msg": "IP stats for Network Card 0 - total IPs: 25, assigned IPs: 25, cooldown IPs: 0",
    },
    *_log_lines(NODE / "ipamd.log"),
]
DOCTOR = ("doctor", "--instance", "m5.large", "FILE")

TARGETS = {
    "manifest": Target((*EXPLAIN, "--manifest", "FILE"), MANIFEST, "aws-node.yaml", _yaml),
    "Helm values": Target(
        (*EXPLAIN, "--values", "FILE"),
        {"image": {"tag": "v1.19.0"}, "env": {"WARM_IP_TARGET": "5", "MINIMUM_IP_TARGET": 2}},
        "values.yaml",
        _yaml,
    ),
    "add-on": Target(
        (*EXPLAIN, "--addon", "FILE"),
        {
            "addon": {
                "addonName": "vpc-cni",
                "addonVersion": "v1.19.0-eksbuild.1",
                "configurationValues": '{"env": {"WARM_IP_TARGET": "5"}}',
            }
        },
    ),
    "scenario": Target(("simulate", "FILE"), SCENARIO),
    "scenario checked": Target(("check", "FILE", "--json"), SCENARIO, "file.yaml", _yaml),
    "fleet": Target(("simulate", "FILE", "--json"), FLEET),
    "pod events": Target(
        ("simulate", "fleet.json"),
        POD_EVENTS,
        "events.csv",
        _csv,
        {"fleet.json": as_json(OF_EVENTS)},
    ),
    "subnet": Target(("subnet", "report", "FILE", "--solve-seconds", "1"), SUBNETS),
    "subnet ahead": Target(
        ("subnet", "forecast", "FILE", "--json", "--nodes", "1", "--hours", "1"), SUBNETS
    ),
    "CloudTrail": Target(DOCTOR, TRAIL, beside={"eni.out": as_json(ENIS)}),
    "events": Target(DOCTOR, EVENTS),
    "log": Target(DOCTOR, LOG, "ipamd.log", _lines),
    "/v1/enis": Target(DOCTOR, ENIS),
    "bundle": Target(
        DOCTOR,
        {"eni.out": ENIS, "ipamd.log": _lines(LOG[:3]).decode(), "events.json": EVENTS},
        "node.tar.gz",
        _bundle,
    ),
    "agent's checkpoint": Target(
        ("checkpoint", "import", "FILE", "--checkpoint", "fresh.db"), AGENTS_FILE, "ipam.json"
    ),
}
