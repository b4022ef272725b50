"""`ipam-core agent` refuses what it cannot run with, before anything is served."""

import pytest

from ipam_core.cli._app import run

pytest.importorskip("grpc")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--endpoint-url", "here"], "--endpoint-url is http://HOST:PORT, not 'here'"),
        (["--imds-url", "169.254.169.254"], "--imds-url is http://HOST:PORT, not '169.254"),
        (["-e", "AWS_EC2_ENDPOINT=ftp://a"], "AWS_EC2_ENDPOINT is http://HOST:PORT"),
        (
            ["-e", "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://a:b"],
            "AWS_EC2_METADATA_SERVICE_ENDPOINT is http://HOST:PORT, not 'http://a:b'",
        ),
    ],
)
def test_an_address_that_is_none_is_one_line(arguments, said, tmp_path, capsys, monkeypatch):
    pytest.importorskip("boto3")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert run(["agent", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_simulated_node_has_no_links_to_set_up(tmp_path, capsys, monkeypatch):
    pytest.importorskip("pyroute2")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert run(["agent", "--simulate", "m5.large", "--host-network", "apply"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "a simulated node has no links" in line
