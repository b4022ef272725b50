"""Files of a node for tests: made of what the agent prints and Kubernetes holds."""

from __future__ import annotations

import json

from ipam_core.diagnosis.doctor import diagnose
from ipam_core.diagnosis.inputs.collect import read_case
from support.upstream_log import writer

NOW = "2026-03-12T02:58:15Z"
NEVER = "0001-01-01T00:00:00Z"
REFUSED = (
    "Send AddNetworkReply: Success: false IPAddr: [], err: AssignPodIPAddress: no available "
    "IP/Prefix addresses"
)


def found(folder, **given):
    """Return the causes that doctor finds in a folder, each with its certainty."""
    return [
        (each.cause, str(each.certainty)) for each in diagnose(read_case([folder]), **given).found
    ]


def eni(number, total, assigned, *, released=(), size=1, **flags):
    """Return an ENI of /v1/enis; `released` are times at which further addresses were."""
    cidrs, pods, times = {}, assigned, list(released)
    for slot in range(total):
        base = f"10.{number}.{slot}.0" if size == 16 else f"10.{number}.0.{slot + 1}"
        held = {}
        for offset in range(size):
            address = f"{base.rpartition('.')[0]}.{int(base.rpartition('.')[2]) + offset}"
            if pods:
                pods -= 1
                held[address] = {
                    "IPAMKey": {"networkName": "aws-cni"},
                    "IPAMMetadata": {"k8sPodName": f"pod-{address}"},
                    "AssignedTime": "2026-03-12T01:58:00Z",
                    "UnassignedTime": NEVER,
                }
            elif times:
                held[address] = {
                    "IPAMKey": {"networkName": ""},
                    "AssignedTime": "2026-03-12T01:58:00Z",
                    "UnassignedTime": times.pop(),
                }
        cidrs[f"{base}/{28 if size == 16 else 32}"] = {
            "IPAddresses": held,
            "IsPrefix": size == 16,
        }
    return {
        "ID": f"eni-{number}",
        "IsPrimary": number == 0,
        "DeviceNumber": number,
        "AvailableIPv4Cidrs": cidrs,
        **flags,
    }


def state(folder, *cards):
    """Write /v1/enis: a list of ENIs for each network card."""
    document = {
        str(number): {"ENIs": {each["ID"]: each for each in card}}
        for number, card in enumerate(cards)
    }
    (folder / "eni.out").write_text(json.dumps(document))


def log(
    folder,
    *messages,
    pool=None,
    version="v1.20.1",
    instance="m5.large",
    max_pods=29,
    warm_ip=0,
    minimum_ip=0,
    warm_eni=1,
):
    """Write ipamd.log: a start, then messages 1 s apart, the pool's counts, the last at `NOW`."""
    targets = (
        f"IP pool manager - max pods: {max_pods}, warm IP target: {warm_ip}, warm prefix target: "
        f"0, warm ENI target: {warm_eni}, minimum IP target: {minimum_ip}"
    )
    told = [
        f"Starting L-IPAMD {version}  ...",
        "Found instance-id: i-0c3a1b9de2f4a5678 ",
        f"Found instance-type: {instance} ",
        targets,
        'Node found "ip-10-0-12-34" - no of taints - 0',
        *messages,
    ]
    for card, (total, assigned, cooling) in enumerate(pool or ()):
        told.append(
            f"IP stats for Network Card {card} - total IPs: {total}, assigned IPs: {assigned}, "
            f"cooldown IPs: {cooling}"
        )
    told.append("Successfully Reconciled ENI/IP pool")
    lines = []
    for number, message in enumerate(told, 16 - len(told)):
        assert writer(message), message
        ts = f"2026-03-12T02:58:{number:02}.000Z"
        lines.append(json.dumps({"level": "info", "ts": ts, "caller": "x.go:1", "msg": message}))
    (folder / "ipamd.log").write_text("\n".join(lines) + "\n")


def failed(api, code):
    """Return the agent's line of a call that EC2 refused."""
    sdk = f"operation error EC2: {api}, https response error StatusCode: 400, RequestID: 1, "
    error = f"{sdk}api error {code}: no"
    if api == "AssignPrivateIpAddresses":
        return f"Failed to allocate a private IP/Prefix addresses on ENI eni-0: {error}"
    return f"Failed to CreateNetworkInterface {error} for subnet subnet-1"


def manifest(folder, **variables):
    """Write the DaemonSet with these variables."""
    env = [{"name": name, "value": value} for name, value in variables.items()]
    container = {"name": "aws-node", "env": env}
    (folder / "aws-node.json").write_text(
        json.dumps(
            {
                "kind": "DaemonSet",
                "metadata": {"name": "aws-node"},
                "spec": {"template": {"spec": {"containers": [container]}}},
            }
        )
    )


def events(folder, *told):
    """Write events: (reason, kind of object, its name, message, time)."""
    items = [
        {
            "kind": "Event",
            "metadata": {"uid": f"uid-{number}"},
            "involvedObject": {"kind": kind, "name": name, "namespace": "shop"},
            "reason": reason,
            "message": message,
            "lastTimestamp": when,
            "source": {"host": "ip-10-0-12-34"},
        }
        for number, (reason, kind, name, message, when) in enumerate(told)
    ]
    (folder / "events.json").write_text(json.dumps({"kind": "List", "items": items}))


def refused_pods(folder, n_pods):
    """Write events of so many pods that get no address."""
    text = "Failed to create pod sandbox: add cmd: failed to assign an IP address to container"
    events(
        folder,
        *(("FailedCreatePodSandBox", "Pod", f"web-{n}", text, NOW) for n in range(n_pods)),
    )


def trail(folder, *calls):
    """Write CloudTrail records: (caller, API, error code or "")."""
    records = [
        {
            "eventSource": "ec2.amazonaws.com",
            "eventName": api,
            "eventTime": NOW,
            "eventID": f"event-{number}",
            "userIdentity": {"arn": f"arn:aws:sts::1:assumed-role/role-of-{caller}/{caller}"},
            "errorCode": code,
        }
        for number, (caller, api, code) in enumerate(calls)
    ]
    (folder / "trail.json").write_text(json.dumps({"Records": records}))


def plain_log(folder, *messages, name="ipamd.log", caller="ipamd/ipamd.go:1", start="v1.18.5"):
    """Write a log of messages, a second apart, after a start."""
    every = [*([f"Starting L-IPAMD {start}  ..."] if start else []), *messages]
    rows = [
        json.dumps(
            {"level": "info", "ts": f"2026-03-12T02:58:{n:02}.000Z", "caller": caller, "msg": text}
        )
        for n, text in enumerate(every)
    ]
    (folder / name).write_text("\n".join(rows) + "\n")
