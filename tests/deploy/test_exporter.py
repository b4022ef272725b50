"""What deploy/exporter has fits the exporter: metrics, labels, rights, options."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import promql_parser as promql
import pytest
import yaml
from typer.main import get_command
from yamllint import linter
from yamllint.config import YamlLintConfig

from ipam_core.cli._app import app
from ipam_core.exporter import names
from ipam_core.k8s.client import DAEMONSETS, NODES, PODS
from ipam_core.k8s.objects import DAEMONSET, NAMESPACE

DEPLOY = Path(__file__).parents[2] / "deploy" / "exporter"
LINT = "{extends: default, rules: {line-length: {max: 110}, braces: {max-spaces-inside: 0}}}"
LABELS = {names.PREFIX + name.name: {*name.labels} for name in names.ALL}


def rules():
    (group,) = yaml.safe_load((DEPLOY / "alerts.yaml").read_text("utf-8"))["groups"]
    return group["rules"]


def panels():
    return json.loads((DEPLOY / "dashboard.json").read_text("utf-8"))["panels"]


def expressions():
    found = [(rule["alert"], rule["expr"]) for rule in rules()]
    found += [(panel["title"], target["expr"]) for panel in panels() for target in panel["targets"]]
    return found


def parts(expression):
    """Yield the name and the matched labels of each selector, and the labels of `by` and `on`."""
    seen = [expression]
    while seen:
        each = seen.pop()
        if isinstance(each, promql.VectorSelector):
            yield each.name, {matcher.name for matcher in each.matchers.matchers}
        for key in ("lhs", "rhs", "expr", "vs", "vector_selector", "param"):
            inner = getattr(each, key, None)
            if inner is not None and not isinstance(inner, str | int | float):
                seen.append(inner)
        seen += getattr(each, "args", None) or []


@pytest.mark.parametrize(("where", "text"), expressions())
def test_an_expression_names_metrics_and_labels_that_are_exported(where, text):
    found = list(parts(promql.parse(text)))
    # The walk misses none of the names in the text.
    assert sorted(name for name, _ in found) == sorted(re.findall(r"ipam_core_\w+", text))
    for name, matched in found:
        assert name in LABELS, name
        assert matched <= LABELS[name], name
    grouped = re.findall(r"\b(?:by|on|group_left) \(([\w, ]+)\)", text)
    known = set().union(*(LABELS[name] for name, _ in found))
    assert {label for group in grouped for label in group.split(", ")} <= known


def test_what_alerts_say_uses_labels_that_they_have():
    for rule in rules():
        known = set().union(*(LABELS[name] for name, _ in parts(promql.parse(rule["expr"]))))
        used = re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"]))
        assert set(used) <= known, rule["alert"]
        assert {"summary", "description"} <= rule["annotations"].keys()
        for name in re.findall(r"ipam_core_\w+", json.dumps(rule["annotations"])):
            assert name in LABELS


def test_every_metric_of_a_subnet_and_a_node_is_used_or_a_detail():
    used = {name for _, text in expressions() for name in re.findall(r"ipam_core_(\w+)", text)}
    details = {"subnet_info", "subnet_addresses", "subnet_nodes", "node_stalls_at_pods",
               "node_burst_pods", "node_max_pods", "node_pods", "pods_unscheduled",
               "exporter_read_duration_seconds", "exporter_ec2_reads_postponed_total"}  # fmt: skip
    assert used | details == {name.name for name in names.ALL}


def test_the_dashboard_has_panels_apart_and_names_its_data_source():
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids) > 8
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels()]
    assert len(set(places)) == len(places)
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in panels())


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here")
def test_promtool_takes_the_rules_and_their_own_tests_and_the_dashboard(tmp_path):
    def promtool(*arguments):
        done = subprocess.run(
            ["promtool", *arguments], capture_output=True, text=True, check=False, cwd=DEPLOY
        )
        assert done.returncode == 0, done.stdout + done.stderr

    promtool("check", "rules", "alerts.yaml")
    promtool("test", "rules", "alerts.test.yaml")
    shown = [
        {"record": f"r:{number}", "expr": target["expr"].replace("$subnet", ".*")}
        for number, target in enumerate(t for panel in panels() for t in panel["targets"])
    ]
    path = tmp_path / "dashboard.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": shown}]}))
    promtool("check", "rules", str(path))


@pytest.mark.parametrize("name", ["exporter.yaml", "alerts.yaml", "alerts.test.yaml"])
def test_the_linter_finds_nothing(name):
    text = (DEPLOY / name).read_text("utf-8")
    found = linter.run(text, YamlLintConfig(LINT), name)
    assert [
        f"{problem.line}: {problem.desc}" for problem in found if problem.level == "error"
    ] == []


@pytest.fixture
def objects():
    text = (DEPLOY / "exporter.yaml").read_text("utf-8")
    return {each["kind"]: each for each in yaml.safe_load_all(text)}


def test_the_manifest_gives_the_rights_that_are_used_and_no_more(objects):
    (cluster_rule,) = objects["ClusterRole"]["rules"]
    assert cluster_rule["apiGroups"] == [""]
    assert set(cluster_rule["resources"]) == {NODES.plural, PODS.plural}
    assert set(cluster_rule["verbs"]) == {"list", "watch"}
    (rule,) = objects["Role"]["rules"]
    assert (rule["resources"], rule["resourceNames"]) == ([DAEMONSETS.plural], [DAEMONSET])
    assert (rule["verbs"], objects["Role"]["metadata"]["namespace"]) == (["get"], NAMESPACE)


def test_the_manifest_starts_the_exporter_with_options_that_it_has(objects):
    (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    command, *arguments = container["args"]
    known = {option for param in get_command(app).commands[command].params for option in param.opts}
    assert {each for each in arguments if each.startswith("--")} <= known
    port = container["ports"][0]["containerPort"]
    assert f"0.0.0.0:{port}" in arguments
    assert objects["Service"]["spec"]["ports"][0]["port"] == port
    pod = objects["Deployment"]["spec"]["template"]
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(port)
    assert objects["Service"]["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
