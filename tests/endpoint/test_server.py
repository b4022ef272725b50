"""The served VPC over HTTP: what it answers to clients, and to what is none."""

import gzip
import json
import socket
import threading
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ipam_core.cloud.imds import Imds
from ipam_core.endpoint import listen
from ipam_core.endpoint.server import VpcServer
from ipam_core.errors import InputError
from support.vpc import client, error_code, http_request, query, raw

pytest.importorskip("boto3")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def server():
    with VpcServer() as server:
        yield server


# --- clients ------------------------------------------------------------------------------


def test_boto3_reads_and_changes_the_vpc_that_the_node_sees_in_its_metadata(server):
    ec2 = client(server)
    [instance] = ec2.describe_instances()["Reservations"][0]["Instances"]
    [eni] = instance["NetworkInterfaces"]
    given = ec2.assign_private_ip_addresses(
        NetworkInterfaceId=eni["NetworkInterfaceId"], Ipv4PrefixCount=2
    )
    prefixes = [each["Ipv4Prefix"] for each in given["AssignedIpv4Prefixes"]]
    server.move(2)
    imds = Imds(server.imds_urls[instance["InstanceId"]])
    [shown] = imds.attached_enis()
    assert list(shown.prefixes) == prefixes
    assert shown.primary_address == eni["PrivateIpAddress"]
    assert imds.instance().instance_id == instance["InstanceId"]


def test_sts_and_eks_are_on_the_same_port(server):
    from botocore.exceptions import ClientError

    caller = client(server, "sts").get_caller_identity()
    assert caller["Arn"].endswith(":assumed-role/node/i-0123456789abcdef0")
    user = client(server, "sts", "AKIAIOSFODNN7EXAMPLE").get_caller_identity()
    assert user["Arn"].endswith(":user/ipam-core")
    eks = client(server, "eks")
    assert eks.describe_cluster(name="cluster")["cluster"]["status"] == "ACTIVE"
    assert eks.list_nodegroups(clusterName="cluster")["nodegroups"] == ["nodes"]
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        eks.describe_cluster(name="other")


def test_an_instance_that_is_launched_has_metadata_at_once_and_none_when_it_ended():
    with VpcServer(imds_each=True) as server:
        ec2 = client(server)
        subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        reply = ec2.run_instances(
            ImageId="ami-1", InstanceType="m5.large", MinCount=1, MaxCount=1, SubnetId=subnet
        )
        new = reply["Instances"][0]["InstanceId"]
        url = server.imds_urls[new]
        assert Imds(url).instance().instance_id == new
        ec2.terminate_instances(InstanceIds=[new])
        server.move(60)
        server.do(lambda served: None)
        deadline = time.monotonic() + 10
        while new in server.imds_urls:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with pytest.raises(ConnectionRefusedError):
            http_request(url)


# --- what is no client --------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
@pytest.mark.parametrize("path", ["/", "/nowhere", "//", "/%00", "/?Action=&Version=", "/latest/"])
def test_unknown_paths_and_methods_get_ec2s_error_form(server, method, path):
    status, headers, body = http_request(server.endpoint_url, method, path)
    assert 400 <= status < 500
    assert headers["Content-Type"] == "text/xml;charset=UTF-8"
    assert error_code(body)


def test_a_call_to_another_path_is_none(server):
    path = "/elsewhere?Action=DescribeVpcs&Version=2016-11-15"
    status, _, body = http_request(server.endpoint_url, "GET", path)
    assert (status, error_code(body)) == (404, "InvalidAction")
    assert http_request(server.endpoint_url, "GET", path.replace("elsewhere", ""))[0] == 200


@pytest.mark.parametrize(
    "content",
    [
        b"\x00\x01\x02\x03" * 100 + b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: nonsense\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 1000 + b"\r\n",
    ],
)
def test_what_is_no_http_gets_ec2s_error_form_and_the_door(server, content):
    head, _, body = raw(server.endpoint_url, content).partition(b"\r\n\r\n")
    assert head.split()[1] == b"400"
    assert error_code(body) == "MalformedQueryString"


@pytest.mark.parametrize("size", [(1 << 20) + 1, 8 << 20])
def test_a_body_beyond_the_bound_is_not_read(server, size):
    head = (
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Content-Type: {FORM['Content-Type']}\r\nContent-Length: {size}\r\n\r\n"
    )
    body = raw(server.endpoint_url, head.encode() + b"a" * ((1 << 20) + 70_000))
    assert body.split()[1] == b"413"
    assert error_code(body.partition(b"\r\n\r\n")[2]) == "RequestEntityTooLarge"


def test_a_client_of_http_1_0_is_answered_and_let_go(server):
    request = b"GET /?Action=DescribeVpcs&Version=2016-11-15 HTTP/1.0\r\n\r\n"
    head, _, body = raw(server.endpoint_url, request).partition(b"\r\n\r\n")
    assert head.split()[1] == b"200"
    assert b"<vpcId>vpc-" in body


def test_a_body_in_chunks_is_read(server):
    content = b"Action=DescribeVpcs&Version=2016-11-15"
    request = (
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (content[:9], content[9:]))
        + b"0\r\n\r\n"
    )
    assert raw(server.endpoint_url, request).split()[1] == b"200"


def test_a_small_body_that_unpacks_to_a_large_one_is_not_read(server):
    body = gzip.compress(b"Action=" + b"A" * (20 << 20), 1)
    before = time.monotonic()
    status, _, answer = http_request(
        server.endpoint_url, "POST", "/", body, {**FORM, "Content-Encoding": "gzip"}
    )
    assert (status, error_code(answer)) == (413, "RequestEntityTooLarge")
    assert time.monotonic() - before < 5


def test_a_body_is_read_up_to_the_bound(server, monkeypatch):
    monkeypatch.setattr(listen, "MOST_BYTES", 1000)
    for n_bytes, status in ((1000, 400), (1001, 413)):
        assert http_request(server.endpoint_url, "POST", "/", b"x" * n_bytes, FORM)[0] == status


def test_it_listens_on_another_address_of_loopback_and_on_ipv6():
    for host, url in (("127.0.0.9", "http://127.0.0.9:"), ("::1", "http://[::1]:")):
        try:
            with VpcServer(host=host) as server:
                assert server.endpoint_url.startswith(url)
                assert query(server.endpoint_url, "DescribeVpcs")[0] == 200
        except InputError as error:
            pytest.skip(f"no {host} here: {error}")


def test_a_fault_of_ours_is_an_internal_error_without_a_traceback(server, monkeypatch, caplog):
    def fails(*_, **__):
        raise ZeroDivisionError("a secret of the server")

    monkeypatch.setattr("ipam_core.endpoint.faces.parse", fails)
    status, _, body = http_request(server.endpoint_url, "POST", "/", "x", FORM)
    assert (status, error_code(body)) == (500, "InternalError")
    assert b"secret" not in body
    assert "a secret of the server" in caplog.text


def test_slow_and_silent_clients_hold_up_nobody(server):
    address = server.endpoint_url.removeprefix("http://").split(":")
    slow = [socket.create_connection((address[0], int(address[1]))) for _ in range(50)]
    try:
        for number, connection in enumerate(slow):
            connection.sendall(
                (b"", b"POST / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nAct")[
                    number % 3
                ]
            )
        before = time.monotonic()
        assert query(server.endpoint_url, "DescribeVpcs")[0] == 200
        assert time.monotonic() - before < 5
    finally:
        for connection in slow:
            connection.close()


def test_a_body_that_does_not_come_is_given_up(monkeypatch, server):
    monkeypatch.setattr("ipam_core.endpoint.listen.BODY_S", 0.05)
    answer = raw(server.endpoint_url, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nAct")
    assert answer.split()[1] == b"408"
    assert error_code(answer.partition(b"\r\n\r\n")[2]) == "RequestTimeout"


def test_a_client_that_leaves_in_the_middle_does_no_harm(server, caplog):
    for _ in range(20):
        raw(
            server.endpoint_url,
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\nAct",
            reply=False,
        )
        raw(server.endpoint_url, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", reply=False)
    assert query(server.endpoint_url, "DescribeVpcs")[0] == 200
    assert caplog.text == ""


def test_many_clients_at_once_get_different_addresses(server):
    _, root = query(server.endpoint_url, "DescribeSubnets")
    subnet = root.findtext("subnetSet/item/subnetId")
    found = []

    def make():
        for _ in range(5):
            status, reply = query(server.endpoint_url, "CreateNetworkInterface", SubnetId=subnet)
            assert status == 200
            found.append(reply.findtext("networkInterface/privateIpAddress"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 40


# --- time, faults, repeated runs ----------------------------------------------------------


def test_a_throttled_call_is_503_and_a_fault_strikes(server):
    server.add_fault("DescribeVpcs", "UnauthorizedOperation", times=1)
    status, root = query(server.endpoint_url, "DescribeVpcs")
    assert (status, root.findtext("Errors/Error/Code")) == (403, "UnauthorizedOperation")
    with VpcServer({"ec2": {"throttling": {"DescribeVpcs": {"burst": 1, "per_second": 0}}}},
                   held=True) as throttled:  # fmt: skip
        assert query(throttled.endpoint_url, "DescribeVpcs")[0] == 200
        status, root = query(throttled.endpoint_url, "DescribeVpcs")
        assert (status, root.findtext("Errors/Error/Code")) == (503, "RequestLimitExceeded")


def test_an_attachment_takes_time_that_can_be_moved():
    with VpcServer(held=True) as server:
        ec2 = client(server)
        [instance] = ec2.describe_instances()["Reservations"][0]["Instances"]
        eni = ec2.create_network_interface(SubnetId=instance["SubnetId"])["NetworkInterface"]
        eni_id = eni["NetworkInterfaceId"]
        ec2.attach_network_interface(
            NetworkInterfaceId=eni_id, InstanceId=instance["InstanceId"], DeviceIndex=1
        )

        def status():
            [found] = ec2.describe_network_interfaces(NetworkInterfaceIds=[eni_id])[
                "NetworkInterfaces"
            ]
            return found["Attachment"]["Status"]

        imds = Imds(server.imds_urls[instance["InstanceId"]])
        assert status() == "attaching"
        server.move(1)
        assert status() == "attached"
        assert len(imds.attached_enis()) == 1  # metadata lags by a second
        server.move(1)
        assert [each.eni_id for each in imds.attached_enis()][1] == eni_id


def test_one_seed_and_the_same_calls_give_the_same_bytes(tmp_path):
    def play(seed, name):
        spec = {
            "subnets": [{"id": "one", "cidr": "10.1.0.0/20", "used": 50}],
            "nodes": [{"instance_type": "m5.large", "count": 2}],
            "ec2": {"faults": [{"api": "CreateNetworkInterface", "code": "InternalError",
                                "probability": 0.5}]},
        }  # fmt: skip
        trail = tmp_path / name
        found = []
        with VpcServer(spec, held=True, seed=seed, trail=trail) as server:
            _, root = query(server.endpoint_url, "DescribeSubnets")
            subnet = root.findtext("subnetSet/item/subnetId")
            for _ in range(6):
                _, root = query(server.endpoint_url, "CreateNetworkInterface", SubnetId=subnet)
                found.append(ElementTree.tostring(root))
                server.move(1)
        return found, trail.read_bytes()

    assert play(5, "one.json") == play(5, "two.json")
    assert play(5, "one.json")[0] != play(6, "three.json")[0]


# --- its life -----------------------------------------------------------------------------


def test_leaving_it_closes_every_port_and_ends_its_thread():
    before = threading.active_count()
    with VpcServer() as server:
        urls = [server.endpoint_url, server.imds_url, *server.imds_urls.values()]
        assert len(set(urls)) == 3
        held = http_request(urls[0])  # one that was used
        assert held[0] == 400
    for url in urls:
        with pytest.raises(ConnectionRefusedError):
            http_request(url)
    assert threading.active_count() == before


def test_it_is_served_once_at_a_time_and_may_be_served_again():
    server = VpcServer(held=True)
    with server:
        with pytest.raises(RuntimeError, match="served already"):
            server.__enter__()
        first = server.imds_urls.keys()
    with pytest.raises(RuntimeError, match="not served"):
        server.move(1)
    with server:
        assert server.imds_urls.keys() == first  # the same seed
    server.__exit__()


def test_leaving_it_does_not_wait_for_calls_under_way(monkeypatch):
    monkeypatch.setattr(listen, "CLOSING_S", 0.1)
    spec = {"ec2": {"latency": {"DescribeVpcs": {"median": 60}}}}
    with VpcServer(spec) as server:
        url = server.endpoint_url
        failed = threading.Event()

        def call():
            try:
                query(url, "DescribeVpcs")
            except OSError:
                failed.set()

        thread = threading.Thread(target=call)
        thread.start()
        time.sleep(0.2)
        before = time.monotonic()
    assert time.monotonic() - before < 5
    thread.join()
    assert failed.is_set()


def test_a_port_that_is_taken_is_one_line_and_nothing_stays_open():
    before = threading.enumerate()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"127.0.0.1:{port} cannot be listened on"):
            VpcServer(port=port).__enter__()
        with pytest.raises(InputError, match="cannot be listened on"):
            VpcServer(imds_port=port).__enter__()
    assert threading.enumerate() == before


def test_more_nodes_than_files_can_be_open_is_one_line_that_says_what_helps():
    import resource

    spec = {"nodes": [{"instance_type": "m5.large", "count": 100}]}
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    n_open = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (n_open + 50, hard))
    try:
        with pytest.raises(InputError, match=r"Too many open files; .* --imds shared"):
            VpcServer(spec).__enter__()
        with VpcServer(spec, imds_each=False) as server:
            assert len(server.imds_urls) == 100
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_wrong_spec_is_refused_before_anything_is_served():
    with pytest.raises(InputError, match="unknown key 'subnet'"):
        VpcServer({"subnet": []})
    with pytest.raises(InputError, match=r"12 in subnet s: .* does not have enough"):
        VpcServer({"subnets": [{"id": "s", "cidr": "10.0.0.0/28"}],
                   "nodes": [{"instance_type": "m5.large", "count": 12}]}).__enter__()  # fmt: skip


def test_addresses_and_faults_are_known_to_the_control_endpoint(server):
    status, _, body = http_request(server.endpoint_url, "GET", "/ipam-core/")
    assert status == 200
    found = json.loads(body)
    assert [each["what"] for each in found["addresses"]][:2] == ["EC2", "instance metadata"]
    assert found["addresses"][0]["url"] == server.endpoint_url
