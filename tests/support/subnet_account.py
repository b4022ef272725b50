"""Small accounts as AWS shows them: subnets, ENIs, instances and pods made in a few words."""

import json


def subnet(subnet_id="subnet-1", cidr="10.0.0.0/24", **fields):
    return {"SubnetId": subnet_id, "CidrBlock": cidr} | fields


def eni(name, *addresses, subnet_id="subnet-1", instance=None, device=0, tags=(), **fields):
    found = {
        "NetworkInterfaceId": f"eni-{name}",
        "SubnetId": subnet_id,
        "Status": "in-use" if instance else "available",
        "InterfaceType": "interface",
        "Description": "",
        "PrivateIpAddresses": [{"PrivateIpAddress": f"10.0.0.{each}"} for each in addresses],
        "TagSet": [{"Key": key, "Value": value} for key, value in dict(tags).items()],
    }
    if instance:
        found["Attachment"] = {"InstanceId": instance, "DeviceIndex": device}
    return found | fields


def branch(name, address, trunk=None):
    tags = {"vpcresources.k8s.aws/trunk-eni-id": f"eni-{trunk}"} if trunk else {}
    return eni(
        name,
        address,
        tags=tags,
        Status="in-use",
        InterfaceType="branch",
        Description="aws-k8s-branch-eni",
    )


def leaked(name, *addresses, **fields):
    return eni(name, *addresses, Description=f"aws-K8S-i-{name}", **fields)


def instance(name, kind="m5.large", **tags):
    return {
        "InstanceId": name,
        "InstanceType": kind,
        "Tags": [{"Key": key.replace("_", ":"), "Value": value} for key, value in tags.items()],
    }


def node(name, kind="m5.large"):
    return instance(name, kind, eks_cluster="prod")


def pod(address, *, owner="ReplicaSet", host=None, **spec):
    return {
        "kind": "Pod",
        "metadata": {"ownerReferences": [{"kind": owner}]},
        "spec": spec,
        "status": {
            "phase": "Running",
            "podIP": f"10.0.0.{address}",
            **({"hostIP": f"10.0.0.{host}"} if host else {}),
        },
    }


def account(*, subnets=None, enis=None, instances=None, pods=None):
    """Return the documents that the commands would print."""
    found = {"Subnets": subnets or [subnet()]}
    if enis is not None:
        found["NetworkInterfaces"] = enis
    if instances is not None:
        found["Reservations"] = [{"Instances": instances}]
    if pods is not None:
        found |= {"kind": "List", "items": pods}
    return found


def write(folder, name, *documents):
    """Write documents into one file, one after the other, and return its path."""
    path = folder / name
    path.write_text("\n".join(json.dumps(each) for each in documents))
    return path
