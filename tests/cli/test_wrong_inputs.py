"""Wrong inputs of every command: one line that quotes what was wrong, status 2, and no output."""

import pytest

from support.commands import called

FILES = {
    "empty": b"",
    "binary": bytes(range(256)) * 10,
    "three.json": b"3",
    "deep.json": b"[" * 1000 + b"]" * 1000,
    "events.csv": b"time,node,pod,action\n0,a,b,fly\n",
    "scenario.yaml": b"instance_type: m5.large\nsteps: [{op: boot}]\nexpect: {}\n",
    "fleet.yaml": (
        b"duration: 10m\nnodes: [{name: n, instance_type: m5.large, count: 1}]\n"
        b"workloads: [{kind: churn, pods_per_node: 2, lifetime: 2m}]\n"
    ),
}
WRONG = {
    "demo --seed x": "'x'",
    "simulate nowhere.yaml": "nowhere.yaml: No such file",
    "simulate folder": "folder: Is a directory",
    "simulate empty": "empty: no scenario",
    "simulate binary": "binary: not UTF-16",
    "simulate three.json": "a scenario is a mapping, not 3",
    "simulate deep.json": "deep.json: nested deeper than 64 levels",
    "simulate scenario.yaml --policy best": "'best'; known: vpc-cni, ipam-core",
    "simulate scenario.yaml --plot out.gif": "'out.gif'",
    "simulate scenario.yaml --limits enis=0,ips=0": "'enis=0,ips=0'",
    "simulate scenario.yaml --jobs 3": "--jobs is for fleets",
    "simulate fleet.yaml --instance-types three.json": "three.json: no instance type",
    "simulate fleet.yaml --cloudtrail no/x.json": "no/x.json",
    "check three.json": "three.json: a scenario is a mapping",
    "check fleet.yaml": "fleet.yaml: a fleet, not a scenario",
    "check scenario.yaml --seeds 0": "not '0'",
    "instances m5.lrge": "'m5.lrge'; nearest: m5.large",
    "instances --limits foo=1": "'foo=1'",
    "instances [": "'['",
    "doctor empty": "empty: not recognised",
    "doctor deep.json": "deep.json: not read",
    "doctor nowhere.log": "nowhere.log: No such file",
    "doctor empty --save x.tgz": "--save goes with a node",
    "doctor node/x --kubeconfig no": "kubeconfig 'no': no such file",
    "explain": "give an instance type",
    "explain m5.large -e X": "'X'",
    "explain m5.large -e WARM_IP_TARGT=2": "'WARM_IP_TARGT'; nearest: WARM_IP_TARGET",
    "explain m5.large --settings binary": "binary: not UTF-16",
    "explain m5.large --format xml": "'xml'",
    "explain m5.large --compare-env WARM_IP_TARGT-": "'WARM_IP_TARGT'; nearest: WARM_IP_TARGET",
    "explain m5.large --compare-env -": "called ''",
    "tune scenario.yaml": "scenario.yaml: a scenario; tune takes a fleet",
    "tune fleet.yaml -e WARM_IP_TARGT=3": "'WARM_IP_TARGT'; nearest: WARM_IP_TARGET",
    "tune fleet.yaml -e X": "'X'",
    "sweep fleet.yaml --set X": "'X'",
    "sweep fleet.yaml --set X=1": "'X' decides nothing",
    "sweep fleet.yaml --set WARM_IP_TARGET=5..1": "'WARM_IP_TARGET=5..1'",
    "sweep fleet.yaml --set ENABLE_PREFIX_DELEGATION=maybe": "'maybe'",
    "capacity --group x --cidr 10.0.0.0/24": "'x'",
    "capacity --group 3xm5.large --cidr 10.0.0.0/8": "'10.0.0.0/8'",
    "capacity --group 3xm5.large --cidr ::/64": "'::/64'",
    "capacity --group 99999999999xm5.large --cidr 10.0.0.0/24": "1 to 50,000 nodes",
    "capacity --group 3xm5.large,pods=-1 --cidr 10.0.0.0/24": "'-1'",
    "capacity --group 3xm5.large,subnets=zz --cidr 10.0.0.0/24": "'zz'",
    "agent --simulate m5.large --metrics 1:2:3": "'1:2:3'",
    "agent --simulate m5.large --introspection unix:": "'unix:'",
    "agent --eni-config ,": "--eni-config ''",
    "cluster --output xml": "'xml'",
    "cluster --kubeconfig no": "'no'",
    "cluster --endpoint-url x": "'x'",
    "record out.csv --for soon --kubeconfig empty": "'soon'",
    "record out.csv --prometheus ftp://x": "'ftp://x'",
    "record out.csv --prometheus http://x --since never": "'never'",
    "record out.csv --audit-log binary": "binary: no event",
    "record out.csv --recording events.csv": "events.csv: no recording",
    "record no/out.csv --audit-log empty": "no/out.csv: no folder 'no'",
    "record folder": "folder: a folder",
    "record out.csv --matchers x": "--matchers goes with --prometheus",
    "record out.csv --since 1h --audit-log empty": "--since goes with --prometheus, not",
    "record out.csv --for 1h --prometheus http://x": "--for goes with a cluster that is watched",
    "record out.csv --namespace x --recording events.csv": "--namespace goes with a cluster",
    "exporter --listen x": "'x'",
    "exporter --nodes-every 0s": "'0s'",
    "checkpoint show binary": "binary: damaged",
    "checkpoint show binary --checkpoint empty": "binary, and --checkpoint empty: give one",
    "checkpoint verify binary --checkpoint empty": "binary, and --checkpoint empty: give one",
    "checkpoint export --card 1 --output out.json": "--card 1: --output writes every card",
    "checkpoint export none.db": "none.db: no such file",
    "checkpoint export none.db --intact": "none.db",
    "checkpoint import three.json": "three.json",
    "checkpoint import nowhere.json": "nowhere.json",
    "fleet from-cluster no/f.yaml --recording events.csv": "no/f.yaml: no folder 'no'",
    "fleet from-cluster f.yaml --recording events.csv": "not 'fly'",
    "node plan --instance-id x": "'x'",
    "pods add 0": "'0'",
    "pods add 1 --socket no.sock": "no.sock",
    "pods add 1 --wait nan": "'nan'",
    "subnet report three.json": "three.json",
    "subnet report three.json -e WARM_IP_TARGT=1": "'WARM_IP_TARGT'; nearest: WARM_IP_TARGET",
    "subnet forecast --cidr 10.0.0.0/20 --nodes 100000000": "not 100000000",
    "subnet forecast --cidr 10.0.0.0/20 --hours nan": "--hours nan",
    "vpc serve three.json": "a VPC is a mapping, not 3",
    "vpc show --endpoint-url x": "'x'",
    "web --port 99999": "'99999'",
    "nonsense": "'nonsense'",
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("command", WRONG, ids=lambda command: command.replace("/", "_"))
def test_a_wrong_input_is_one_line_that_quotes_it(command, capsys):
    status, out, err = called(capsys, *command.split())
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("ipam-core: ")
    assert WRONG[command] in line
