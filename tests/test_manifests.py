"""Settings from files: DaemonSet manifests, Helm values, the EKS add-on's configuration."""

import contextlib
import json
import textwrap

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ipam_core.errors import InputError
from ipam_core.manifests import CHART_ENV
from ipam_core.settings import Settings
from ipam_core.variables import VARIABLES

# In the form that `kubectl -n kube-system get ds aws-node -o yaml` prints, shortened.
DAEMONSET = """\
apiVersion: apps/v1
kind: DaemonSet
metadata:
  annotations:
    deprecated.daemonset.template.generation: "3"
  creationTimestamp: "2026-08-03T09:11:12Z"
  labels:
    k8s-app: aws-node
  name: aws-node
  namespace: kube-system
spec:
  selector:
    matchLabels:
      k8s-app: aws-node
  template:
    spec:
      containers:
      - env:
        - name: ENABLE_IPv4
          value: "true"
        - name: ENABLE_PREFIX_DELEGATION
          value: "false"
        - name: MINIMUM_IP_TARGET
          value: "25"
        - name: WARM_ENI_TARGET
          value: "1"
        - name: WARM_PREFIX_TARGET
          value: "null"
        - name: MY_NODE_NAME
          valueFrom:
            fieldRef:
              apiVersion: v1
              fieldPath: spec.nodeName
        image: 602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon-k8s-cni:v1.23.1
        name: aws-node
      - args:
        - --enable-ipv6=false
        env:
        - name: WARM_IP_TARGET
          value: "98"
        name: aws-eks-nodeagent
      initContainers:
      - env:
        - name: WARM_IP_TARGET
          value: "99"
        - name: ENABLE_IPv6
          value: "true"
        name: aws-vpc-cni-init
status:
  numberReady: 3
"""
OTHER = """\
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: kube-proxy}
spec:
  template:
    spec:
      containers: [{name: kube-proxy, env: [{name: WARM_IP_TARGET, value: "97"}]}]
"""
EXPECTED = Settings(minimum_ip_target=25)


def parsed():
    return yaml.safe_load(DAEMONSET)


def container(manifest):
    return manifest["spec"]["template"]["spec"]["containers"][0]


def listed(*items, kind="List"):
    return {"apiVersion": "v1", "kind": kind, "items": list(items)}


def with_env(*entries, **others):
    """Return the manifest as JSON, with these entries for the container's variables."""
    manifest = parsed()
    container(manifest).update(env=list(entries), **others)
    return json.dumps(manifest)


FORMS = {
    "yaml": DAEMONSET,
    "json": json.dumps(parsed(), indent=4),
    "json with tabs": json.dumps(parsed(), indent="\t"),
    "list": json.dumps(listed(yaml.safe_load(OTHER), parsed())),
    "typed list": yaml.safe_dump(listed(parsed(), kind="DaemonSetList")),
    "documents": f"---\n---\nkind: ConfigMap\ndata: {{}}\n---\n{OTHER}---\n{DAEMONSET}---\n",
    "byte order": "\ufeff" + DAEMONSET,
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_every_form_gives_the_same(text):
    settings = Settings.from_manifest(text)
    assert settings == EXPECTED
    (warning,) = settings.warnings
    assert (warning.variable, warning.value) == ("WARM_PREFIX_TARGET", "null")


def test_a_renamed_daemonset_is_found_by_its_container():
    manifest = parsed()
    manifest["metadata"]["name"] = "custom-cni"
    assert Settings.from_manifest(json.dumps(manifest)) == EXPECTED


def test_values_from_elsewhere_are_unknown():
    reference = {"configMapKeyRef": {"name": "warm", "key": "ip"}}
    settings = Settings.from_manifest(
        with_env(
            {"name": "WARM_IP_TARGET", "valueFrom": reference},
            {"name": "MY_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        )
    )
    assert settings == Settings()
    (warning,) = settings.warnings
    assert warning.variable == "WARM_IP_TARGET"
    assert warning.value == str(reference)
    assert "unknown" in warning.effect


def test_env_from_is_unknown_but_what_is_set_holds():
    source = [{"configMapRef": {"name": "cni-settings"}}]
    text = with_env({"name": "WARM_IP_TARGET", "value": "5"}, envFrom=source)
    settings = Settings.from_manifest(text)
    assert settings == Settings(warm_ip_target=5)
    (warning,) = settings.warnings
    assert (warning.variable, warning.value) == ("envFrom", str(source))


def test_the_last_of_two_entries_counts():
    five = {"name": "WARM_IP_TARGET", "value": "5"}
    unknown = {"name": "WARM_IP_TARGET", "valueFrom": {"secretKeyRef": {}}}
    assert Settings.from_manifest(with_env(unknown, five)) == Settings(warm_ip_target=5)
    assert Settings.from_manifest(with_env(unknown, five)).warnings == ()
    assert Settings.from_manifest(with_env(five, unknown)) == Settings()
    assert len(Settings.from_manifest(with_env(five, unknown)).warnings) == 1


def test_a_variable_without_a_value_is_empty():
    settings = Settings.from_manifest(with_env({"name": "WARM_IP_TARGET"}))
    (warning,) = settings.warnings
    assert warning.value == ""


@given(st.dictionaries(st.sampled_from(sorted(VARIABLES)), st.text()))
def test_a_manifest_says_what_its_variables_say(env):
    entries = [{"name": name, "value": value} for name, value in env.items()]
    expected = Settings.from_env(env)
    found = Settings.from_manifest(with_env(*entries))
    assert (found, found.warnings) == (expected, expected.warnings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 DaemonSets with a container 'aws-node'"),
        ("hello", "0 DaemonSets"),
        ("[1, 2]", "0 DaemonSets"),
        (OTHER, "0 DaemonSets"),
        (f"{DAEMONSET}---\n{DAEMONSET}", r"2 DaemonSets .* \(aws-node, aws-node\)"),
        ("a: [1", "neither JSON nor YAML: line 1: did not find expected"),
        ('{"kind": "DaemonSet"', "neither JSON nor YAML"),
        ("a: \x00", "neither JSON nor YAML: unacceptable character"),
        ("a: 2026-13-45", "neither JSON nor YAML"),
        ("a: !!python/object:os.system x", "neither JSON nor YAML"),
        ("[" * 100_000, "nested deeper than 64 levels"),
        ("kind: List\nitems: &x\n- kind: List\n  items: *x", "alias 'x' is inside what it names"),
        ("kind: DaemonSet\nspec: 5", "^spec: 5 is not a mapping"),
        ("kind: DaemonSet\nspec: {template: {spec: {containers: aws-node}}}", "is not a list"),
        ("kind: [DaemonSet]", "^kind: .* is not a string"),
        ("kind: List\nitems: {a: 1}", "^items: .* is not a list"),
        (with_env("WARM_IP_TARGET=5"), "'WARM_IP_TARGET=5' is not a mapping"),
        (with_env({"name": "WARM_IP_TARGET", "value": 5}), "^WARM_IP_TARGET: 5 is not a string"),
        (with_env({"name": "ENABLE_IPv4", "value": True}), "^ENABLE_IPv4: True is not a string"),
    ],
)
def test_unusable_manifests_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        Settings.from_manifest(text)


def test_a_refusal_is_one_short_line():
    with pytest.raises(InputError) as caught:
        Settings.from_manifest(json.dumps({"kind": "DaemonSet", "spec": ["x" * 1000] * 1000}))
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


# Anything that YAML can say, in words that the readers look for.
WORDS = st.sampled_from(
    ["kind", "items", "spec", "template", "containers", "name", "env", "value", "valueFrom",
     "addon", "addonName", "configurationValues", "aws-vpc-cni", "List", "DaemonSet", "aws-node",
     "vpc-cni", "WARM_IP_TARGET", "ENABLE_IPv4"]
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | WORDS
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=4),
)
READERS = [Settings.from_manifest, Settings.from_helm_values, Settings.from_addon]


@pytest.mark.parametrize("reader", READERS)
@given(text=st.text() | DOCUMENTS.map(yaml.safe_dump) | DOCUMENTS.map(str))
def test_any_text_is_read_or_refused(reader, text):
    with contextlib.suppress(InputError):
        assert isinstance(reader(text), Settings)


# --- Helm values ----------------------------------------------------------------------

# The chart's env differs from the agent's defaults in one setting.
CHART = Settings(warm_prefix_target=1)


@pytest.mark.parametrize("text", ["", "{}", "env: {}", "env:\n", "image: {tag: v1.23.1}", "null"])
def test_values_that_say_nothing_leave_the_charts_defaults(text):
    assert Settings.from_helm_values(text) == CHART
    assert Settings.from_helm_values(text).warnings == ()


def test_values_override_the_chart():
    text = """\
env:
  WARM_PREFIX_TARGET: "0"
  WARM_IP_TARGET: 5          # the chart quotes it
  ENABLE_PREFIX_DELEGATION: true
  MINIMUM_IP_TARGET: 10.0
  ENABLE_SUBNET_DISCOVERY: no
"""
    assert Settings.from_helm_values(text) == Settings(
        warm_ip_target=5,
        minimum_ip_target=10,
        enable_prefix_delegation=True,
        enable_subnet_discovery=False,
    )
    nested = "aws-vpc-cni:\n" + textwrap.indent(text, "  ")
    assert Settings.from_helm_values(nested) == Settings.from_helm_values(text)


def test_null_takes_a_default_of_the_chart_away():
    assert Settings.from_helm_values("env: {WARM_PREFIX_TARGET: null}") == Settings()
    # Without ENABLE_IPv4 this package takes IPv4 as on: see Settings.
    assert Settings.from_helm_values("env: {ENABLE_IPv4: null}") == CHART


def test_odd_values_of_the_chart_are_warned_of():
    settings = Settings.from_helm_values("env: {WARM_IP_TARGET: 1.5, MAX_ENI: none}")
    assert settings == CHART
    assert [(each.variable, each.value) for each in settings.warnings] == [
        ("WARM_IP_TARGET", "1.5"),
        ("MAX_ENI", "none"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("env: [{name: WARM_IP_TARGET, value: '5'}]", "^env: .* is not a mapping"),
        ("env: {WARM_IP_TARGET: [5]}", r"^env.WARM_IP_TARGET: \[5\] is not a string, number"),
        ("hello", "not Helm values"),
        ("- 1", "not Helm values"),
        ("a: 1\n---\nb: 2", "not Helm values"),
        (DAEMONSET, "not Helm values"),
        ("aws-vpc-cni: 5", "^aws-vpc-cni: 5 is not a mapping"),
        ("{", "neither JSON nor YAML"),
    ],
)
def test_unusable_values_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        Settings.from_helm_values(text)


def test_the_charts_env_is_read_without_a_warning():
    settings = Settings.from_env(CHART_ENV)
    assert settings == CHART
    assert settings.warnings == ()
    assert set(CHART_ENV) <= set(VARIABLES)


# --- the EKS add-on -------------------------------------------------------------------

VALUES = {"enableNetworkPolicy": "true", "env": {"WARM_IP_TARGET": "5", "MINIMUM_IP_TARGET": "2"}}
CONFIGURATION = json.dumps(VALUES)


def described(**fields):
    """Return what `aws eks describe-addon` prints, with these fields in it."""
    addon = {
        "addonName": "vpc-cni",
        "clusterName": "one",
        "status": "ACTIVE",
        "addonVersion": "v1.23.1-eksbuild.1",
        "health": {"issues": []},
        "tags": {},
    }
    return {"addon": addon | fields}


ADDONS = {
    "describe-addon": json.dumps(described(configurationValues=CONFIGURATION), indent=4),
    "as yaml": yaml.safe_dump(described(configurationValues=CONFIGURATION)),
    "values in yaml": json.dumps(described(configurationValues=yaml.safe_dump(VALUES))),
    "--query addon": json.dumps(described(configurationValues=CONFIGURATION)["addon"]),
    "--query addon.configurationValues": json.dumps(CONFIGURATION),
    "its text": CONFIGURATION,
    "its yaml": yaml.safe_dump(VALUES),
}


@pytest.mark.parametrize("text", ADDONS.values(), ids=ADDONS)
def test_every_form_of_the_addon_gives_the_same(text):
    settings = Settings.from_addon(text)
    assert settings == Settings(warm_ip_target=5, minimum_ip_target=2, warm_prefix_target=1)


@pytest.mark.parametrize(
    "text",
    [json.dumps(described()), json.dumps(described(configurationValues="")), "null", "{}"],
)
def test_an_addon_without_configuration_has_the_charts_defaults(text):
    assert Settings.from_addon(text) == CHART


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps(described(addonName="coredns")), "add-on 'coredns': 'vpc-cni' is needed"),
        ('{"addon": {}}', "add-on '': 'vpc-cni' is needed"),
        (json.dumps(described(configurationValues="{")), "neither JSON nor YAML"),
        (json.dumps(described(configurationValues="[1]")), "not an add-on's configuration"),
        ('{"env": {"WARM_IP_TARGET": 5}}', "^WARM_IP_TARGET: 5 is not a string"),
        ("env: {null: 5}", "^None: 5 is not a string"),
        ('{"env": ["WARM_IP_TARGET"]}', "^env: .* is not a mapping"),
        ("hello\nworld", "not an add-on's configuration"),
        (DAEMONSET, "not an add-on's configuration"),
    ],
)
def test_unusable_addons_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        Settings.from_addon(text)
