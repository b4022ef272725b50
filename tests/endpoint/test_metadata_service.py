"""IMDSv2 of a served VPC: sessions, paths, whose metadata it is, and how far it lags."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from ipam_core.cloud.imds import Imds
from ipam_core.endpoint.server import VpcServer
from support.vpc import client, http_request, query

pytest.importorskip("boto3")
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "X-aws-ec2-metadata-token"
SPEC = {
    "vpc": {"region": "eu-west-1", "blocks": ["10.0.0.0/16", "100.64.0.0/16"]},
    "subnets": [{"id": "one", "cidr": "10.0.0.0/24", "zone": "b"}],
    "nodes": [
        {"name": "a", "instance_type": "m8g.4xlarge", "count": 1},
        {"name": "b", "instance_type": "p4d.24xlarge", "count": 1},
    ],
    "ec2": {"latency": False, "throttling": False},
}


@pytest.fixture(scope="module")
def server():
    with VpcServer(SPEC, held=True) as server:
        yield server


@pytest.fixture(scope="module")
def ids(server):
    return list(server.imds_urls)[:2]  # those of the file, not what a test launched


def session(url, path="", seconds=21600):
    status, headers, body = http_request(url, "PUT", path + "/latest/api/token",
                                         headers={TTL: str(seconds)})  # fmt: skip
    assert (status, headers["X-Aws-Ec2-Metadata-Token-Ttl-Seconds"]) == (200, str(seconds))
    return {TOKEN: body.decode()}


def get(url, path, headers=None):
    status, _, body = http_request(url, "GET", path, headers=headers)
    return body.decode() if status == 200 else status


# --- paths --------------------------------------------------------------------------------


def test_every_path_that_the_agent_reads_is_there(server, ids):
    url = server.imds_urls[ids[0]]
    token = session(url)

    def read(path):
        return get(url, f"/latest/meta-data/{path}", token)

    [instance] = client(server).describe_instances(InstanceIds=[ids[0]])["Reservations"][0][
        "Instances"
    ]
    [eni] = instance["NetworkInterfaces"]
    mac = eni["MacAddress"]
    assert read("placement/availability-zone") == "eu-west-1b"
    assert read("instance-id") == ids[0]
    assert read("instance-type") == "m8g.4xlarge"
    assert read("local-ipv4") == eni["PrivateIpAddress"]
    assert read("mac") == mac
    assert read("network/interfaces/macs/") == f"{mac}/"
    of_mac = f"network/interfaces/macs/{mac}"
    assert read(f"{of_mac}/device-number") == "0"
    assert read(f"{of_mac}/interface-id") == eni["NetworkInterfaceId"]
    assert read(f"{of_mac}/subnet-id") == instance["SubnetId"]
    assert read(f"{of_mac}/vpc-id") == instance["VpcId"]
    assert read(f"{of_mac}/security-group-ids") == eni["Groups"][0]["GroupId"]
    assert read(f"{of_mac}/local-ipv4s") == eni["PrivateIpAddress"]
    assert read(f"{of_mac}/subnet-ipv4-cidr-block") == "10.0.0.0/24"
    assert read(f"{of_mac}/vpc-ipv4-cidr-blocks") == "10.0.0.0/16\n100.64.0.0/16"
    assert read(f"{of_mac}/vpc-ipv4-cidr-block") == "10.0.0.0/16"
    for absent in ("ipv4-prefix", "ipv6-prefix", "ipv6s", "network-card", "no-such"):
        assert read(f"{of_mac}/{absent}") == 404
    names = read(of_mac).split("\n")
    assert names == sorted(names)
    assert {"device-number", "mac", "vpc-ipv6-cidr-blocks", "subnet-ipv6-cidr-blocks"} <= {*names}
    assert read("placement/").split("\n") == [
        "availability-zone", "availability-zone-id", "region",
    ]  # fmt: skip
    assert "network/" in read("").split("\n")


def test_the_identity_document_says_region_and_architecture(server, ids):
    documents = [
        json.loads(get(server.imds_urls[each], "/latest/dynamic/instance-identity/document"))
        for each in ids
    ]
    assert [one["architecture"] for one in documents] == ["arm64", "x86_64"]
    assert documents[0]["region"] == "eu-west-1"
    assert documents[0]["instanceId"] == ids[0]
    assert documents[0]["pendingTime"] == "2026-01-01T00:00:00Z"


def test_a_type_of_several_cards_says_on_which_an_eni_is(server, ids):
    url = server.imds_urls[ids[1]]
    mac = get(url, "/latest/meta-data/mac")
    assert get(url, f"/latest/meta-data/network/interfaces/macs/{mac}/network-card") == "0"


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/", "1.0\n2021-07-15\n2022-09-24\nlatest"),
        ("/latest", "dynamic\nmeta-data"),
        ("/latest/", "dynamic\nmeta-data"),
        ("/latest/dynamic", "instance-identity/"),
        ("/2021-07-15/meta-data/instance-type", "m8g.4xlarge"),
        ("/latest/meta-data/instance-type/", "m8g.4xlarge"),
        ("/latest/meta-data/placement/region?x=y", "eu-west-1"),
        ("/latest/meta-data/instance%2Dtype", "m8g.4xlarge"),
        ("/1999-01-01/meta-data/instance-id", 404),
        ("/latest/user-data", 404),
        ("/latest/meta-data/instance-id/more", 404),
        ("/latest/../../etc/passwd", 404),
    ],
)
def test_folders_versions_and_what_is_not_there(server, ids, path, answer):
    assert get(server.imds_urls[ids[0]], path) == answer


# --- sessions -----------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", ["0", "-1", "21601", "x", "", "1e3", "٣"])
def test_a_session_lasts_from_a_second_to_six_hours(server, ids, seconds):
    headers = {TTL: seconds.encode()} if seconds else {}
    url = server.imds_urls[ids[0]]
    assert http_request(url, "PUT", "/latest/api/token", headers=headers)[0] == 400


def test_a_session_that_ended_is_refused_and_our_reader_begins_a_new_one(server, ids):
    url = server.imds_urls[ids[0]]
    token = session(url, seconds=60)
    reader = Imds(url)
    assert reader.instance().instance_id == ids[0]
    server.move(59)
    assert get(url, "/latest/meta-data/instance-id", token) == ids[0]
    server.move(1)
    assert get(url, "/latest/meta-data/instance-id", token) == 401
    server.move(21600)
    assert reader.instance().instance_id == ids[0]


def test_a_session_is_one_instances(server, ids):
    token = session(server.imds_urls[ids[0]])
    assert get(server.imds_urls[ids[1]], "/latest/meta-data/instance-id", token) == 401
    assert get(server.imds_urls[ids[0]], "/latest/meta-data/instance-id", {TOKEN: "x"}) == 401


def test_a_forwarded_request_gets_no_session(server, ids):
    headers = {TTL: "60", "X-Forwarded-For": "10.0.0.1"}
    url = server.imds_urls[ids[0]]
    assert http_request(url, "PUT", "/latest/api/token", headers=headers)[0] == 403


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_not_allowed(server, ids, method):
    assert http_request(server.imds_urls[ids[0]], method, "/latest/meta-data/")[0] == 405


def test_without_v1_a_request_needs_a_session(ids):
    with VpcServer(SPEC, held=True, imds_v1=False) as server:
        url = next(iter(server.imds_urls.values()))
        assert get(url, "/latest/meta-data/instance-id") == 401
        assert get(url, "/latest/meta-data/instance-id", session(url)) in ids
        assert Imds(url).instance().instance_id in ids


# --- whose it is, where one port is for all -------------------------------------------------


def test_the_path_says_whose_metadata_it_is(server, ids):
    for each in ids:
        assert get(server.imds_url, f"/{each}/latest/meta-data/instance-id") == each
        reader = Imds(f"{server.imds_url}/{each}")
        assert reader.instance().instance_id == each
    assert get(server.imds_url, "/i-0123456789abcdef0/latest/meta-data/instance-id") == 404


def test_a_token_says_whose_metadata_it_is(server, ids):
    for each in ids:
        token = session(server.imds_url, f"/{each}")
        assert get(server.imds_url, "/latest/meta-data/instance-id", token) == each
    other = f"/{ids[0]}/latest/meta-data/instance-id"
    assert get(server.imds_url, other, token) == 401


def test_nothing_says_whose_it_is_of_two_and_of_one_it_is_clear(server):
    assert get(server.imds_url, "/latest/meta-data/instance-id") == 404
    assert http_request(server.imds_url, "PUT", "/latest/api/token", headers={TTL: "60"})[0] == 404
    with VpcServer(held=True, imds_each=False) as single:
        [(instance, url)] = single.imds_urls.items()
        assert url == f"{single.imds_url}/{instance}"
        assert get(single.imds_url, "/latest/meta-data/instance-id") == instance


def test_the_address_that_a_request_comes_from_says_whose_it_is():
    """A VPC on loopback's own addresses: a socket may have any of them, as in a namespace."""
    spec = {
        "subnets": [{"id": "one", "cidr": "127.9.0.0/24"}],
        "nodes": [{"instance_type": "m5.large", "count": 2}],
    }
    with VpcServer({**spec, "ec2": SPEC["ec2"]}, held=True, imds_each=False) as server:
        enis = client(server).describe_network_interfaces()["NetworkInterfaces"]
        for eni in enis:
            client(server).assign_private_ip_addresses(
                NetworkInterfaceId=eni["NetworkInterfaceId"], SecondaryPrivateIpAddressCount=1
            )
        for eni in client(server).describe_network_interfaces()["NetworkInterfaces"]:
            for each in eni["PrivateIpAddresses"]:
                source = (each["PrivateIpAddress"], 0)
                path = "/latest/meta-data/instance-id"
                _, _, body = http_request(server.imds_url, "GET", path, source=source)
                assert body.decode() == eni["Attachment"]["InstanceId"]
        assert http_request(server.imds_url, "GET", path)[0] == 404


def test_an_instance_that_was_launched_to_need_a_token_does(server):
    ec2 = client(server)
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]

    def launched(**options):
        reply = ec2.run_instances(ImageId="ami-1", InstanceType="m5.large", MinCount=1,
                                  MaxCount=1, SubnetId=subnet, MetadataOptions=options)  # fmt: skip
        [new] = reply["Instances"]
        return new["MetadataOptions"]["HttpTokens"], server.imds_urls[new["InstanceId"]]

    for options, tokens, status in [({"HttpTokens": "required"}, "required", 401),
                                    ({"HttpTokens": "optional"}, "optional", 200),
                                    ({}, "optional", 200)]:  # fmt: skip
        shown, url = launched(**options)
        assert shown == tokens
        assert http_request(url, "GET", "/latest/meta-data/mac")[0] == status
        assert isinstance(get(url, "/latest/meta-data/mac", session(url)), str)


# --- time ---------------------------------------------------------------------------------


def macs(server, instance):
    found = get(server.imds_urls[instance], "/latest/meta-data/network/interfaces/macs/")
    return len(found.split("\n"))


def prefixes(server, instance, mac):
    path = f"/latest/meta-data/network/interfaces/macs/{mac}/ipv4-prefix"
    return get(server.imds_urls[instance], path)


def test_metadata_shows_what_changed_after_its_lag():
    with VpcServer({**SPEC, "ec2": {"metadata_lag": 5}}, held=True) as server:
        instance = next(iter(server.imds_urls))
        ec2 = client(server)
        [eni] = ec2.describe_network_interfaces(
            Filters=[{"Name": "attachment.instance-id", "Values": [instance]}]
        )["NetworkInterfaces"]
        eni_id, mac = eni["NetworkInterfaceId"], eni["MacAddress"]
        given = ec2.assign_private_ip_addresses(NetworkInterfaceId=eni_id, Ipv4PrefixCount=1)
        prefix = given["AssignedIpv4Prefixes"][0]["Ipv4Prefix"]
        server.move(3)
        ec2.unassign_private_ip_addresses(NetworkInterfaceId=eni_id, Ipv4Prefixes=[prefix])
        assert prefixes(server, instance, mac) == 404
        server.move(2)
        assert prefixes(server, instance, mac) == prefix
        server.move(3)
        assert prefixes(server, instance, mac) == 404


def test_an_eni_shows_once_it_is_attached_and_until_it_is_detached_each_after_the_lag():
    with VpcServer({**SPEC, "ec2": {"metadata_lag": 10}}, held=True) as server:
        instance = next(iter(server.imds_urls))
        ec2 = client(server)
        subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        eni = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]
        attachment = ec2.attach_network_interface(
            NetworkInterfaceId=eni["NetworkInterfaceId"], InstanceId=instance, DeviceIndex=1
        )["AttachmentId"]
        server.move(10.9)  # attached after a second
        assert macs(server, instance) == 1
        server.move(0.1)
        assert macs(server, instance) == 2
        ec2.detach_network_interface(AttachmentId=attachment)
        server.move(11.9)  # detached after two
        assert macs(server, instance) == 2
        server.move(0.1)
        assert macs(server, instance) == 1


def test_a_lag_that_is_changed_holds_at_once():
    with VpcServer({**SPEC, "ec2": {"metadata_lag": 3600}}, held=True) as server:
        [(_, url), _] = server.imds_urls.items()
        eni = client(server).describe_network_interfaces()["NetworkInterfaces"][0]
        query(server.endpoint_url, "AssignPrivateIpAddresses", Ipv4PrefixCount=1,
              NetworkInterfaceId=eni["NetworkInterfaceId"])  # fmt: skip
        assert Imds(url).attached_enis()[0].prefixes == ()
        http_request(server.endpoint_url, "POST", "/ipam-core/ec2", '{"metadata_lag": 0}',
                     {"Content-Type": "application/json"})  # fmt: skip
        assert len(Imds(url).attached_enis()[0].prefixes) == 1


def test_an_instance_that_is_launched_has_its_primary_interface_at_once(server):
    ec2 = client(server)
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    [new] = ec2.run_instances(ImageId="ami-1", InstanceType="m5.large", MinCount=1, MaxCount=1,
                              SubnetId=subnet)["Instances"]  # fmt: skip
    assert len(Imds(server.imds_urls[new["InstanceId"]]).attached_enis()) == 1
    ec2.terminate_instances(InstanceIds=[new["InstanceId"]])
    server.move(3600)


def test_nothing_is_kept_of_instances_and_interfaces_that_are_gone(server):
    def kept(served):
        return len(served.metadata._history), len(served.metadata._instance_of)

    ec2 = client(server)
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    server.move(7200)
    ec2.describe_vpcs()
    before = server.do(kept)
    for _ in range(3):
        reply = ec2.run_instances(ImageId="ami-1", InstanceType="m5.large", MinCount=2,
                                  MaxCount=2, SubnetId=subnet)  # fmt: skip
        ids = [each["InstanceId"] for each in reply["Instances"]]
        server.move(10)
        ec2.terminate_instances(InstanceIds=ids)
        server.move(7200)
    ec2.describe_vpcs()
    assert server.do(kept) == before


# --- SDKs ---------------------------------------------------------------------------------


def test_botocore_fetches_the_roles_credentials_and_calls_with_them(server, ids, monkeypatch):
    from botocore.credentials import InstanceMetadataFetcher, InstanceMetadataProvider

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    fetcher = InstanceMetadataFetcher(base_url=server.imds_urls[ids[0]], timeout=5)
    credentials = InstanceMetadataProvider(iam_role_fetcher=fetcher).load()
    assert credentials.method == "iam-role"
    assert not credentials.refresh_needed()
    caller = client(server, "sts", credentials.access_key).get_caller_identity()
    assert caller["Arn"] == f"arn:aws:sts::111122223333:assumed-role/node/{ids[0]}"


def test_the_end_of_credentials_is_by_the_later_of_the_two_clocks(server, ids):
    """An SDK compares it with its own clock: before that, they were no credentials at all."""

    def ends():
        path = "/latest/meta-data/iam/security-credentials/node"
        return datetime.fromisoformat(json.loads(get(server.imds_urls[ids[0]], path))["Expiration"])

    assert server.do(lambda served: served.clock.now()) < datetime.now(UTC)
    assert ends() > datetime.now(UTC) + timedelta(hours=5)
    with VpcServer(SPEC, held=True) as future:
        future.move(100 * 365 * 86400)
        url = next(iter(future.imds_urls.values()))
        document = get(url, "/latest/meta-data/iam/security-credentials/node")
        assert json.loads(document)["Expiration"].startswith("2125-")


def test_botocore_reads_the_region_of_the_instance(server, ids):
    from botocore.utils import InstanceMetadataRegionFetcher

    fetcher = InstanceMetadataRegionFetcher(base_url=f"{server.imds_url}/{ids[1]}/", timeout=5)
    assert fetcher.retrieve_region() == "eu-west-1"
