"""Settings from environment variables: values, defaults, oddities, and the way back."""

import dataclasses
import doctest
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam_core.settings import Settings, SettingWarning, problems
from ipam_core.variables import VARIABLES

# pool-rules section 2, written out: variable, field, default when unset, default when odd.
INTEGERS = [
    ("WARM_ENI_TARGET", "warm_eni_target", 1),
    ("WARM_IP_TARGET", "warm_ip_target", 0),
    ("MINIMUM_IP_TARGET", "minimum_ip_target", 0),
    ("WARM_PREFIX_TARGET", "warm_prefix_target", 0),
    ("MAX_ENI", "max_eni", None),
    ("IP_COOLDOWN_PERIOD", "cooldown_s", 30),
]
BOOLEANS = [
    ("ENABLE_IPv4", "enable_ipv4", True, False),
    ("ENABLE_IPv6", "enable_ipv6", False, False),
    ("ENABLE_PREFIX_DELEGATION", "enable_prefix_delegation", False, False),
    ("ENABLE_POD_ENI", "enable_pod_eni", False, False),
    ("ENABLE_MULTI_NIC", "enable_multi_nic", False, False),
    ("AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", "custom_networking", False, False),
    ("AWS_MANAGE_ENIS_NON_SCHEDULABLE", "manage_enis_non_schedulable", False, False),
    (
        "DISABLE_NETWORK_RESOURCE_PROVISIONING",
        "disable_network_resource_provisioning",
        False,
        False,
    ),
    ("ENABLE_SUBNET_DISCOVERY", "enable_subnet_discovery", True, True),
    ("MANAGE_UNTAGGED_ENI", "manage_untagged_eni", True, True),
    ("ENABLE_IMDS_ONLY_MODE", "imds_only", False, False),
]
TEXTS = [("CLUSTER_NAME", "cluster_name", "")]

# What Go 1.26's strconv.Atoi answers, None for an error (tried with that compiler).
ATOI = {
    "0": 0,
    "+5": 5,
    "007": 7,
    "-0": 0,
    "0" * 5000 + "5": 5,
    "9223372036854775807": 2**63 - 1,
    "9223372036854775808": None,
    "9" * 5000: None,
    "": None,
    "+": None,
    "-": None,
    "--5": None,
    " 5": None,
    "5 ": None,
    "5\n": None,
    "1_000": None,
    "0x10": None,
    "1e3": None,
    "5.0": None,
    "\N{FULLWIDTH DIGIT FIVE}": None,
    "null": None,
}

# What its strconv.ParseBool takes.
TRUE = ["1", "t", "T", "TRUE", "true", "True"]
FALSE = ["0", "f", "F", "FALSE", "false", "False"]


def atoi(text):
    """Read an integer character by character, as Go's Atoi is specified: 64 bits, no more."""
    sign, digits = 1, text
    if text[:1] in {"+", "-"}:
        sign, digits = (-1 if text[0] == "-" else 1), text[1:]
    if not digits:
        return None
    value = 0
    for character in digits:
        if character not in string.digits:
            return None
        value = value * 10 + string.digits.index(character)
        if value > 2**63:
            return None
    value *= sign
    return value if value != 2**63 else None


def only_warning(settings):
    (warning,) = settings.warnings
    return warning


def test_nothing_set_is_the_agents_defaults():
    settings = Settings.from_env({})
    assert settings == Settings()
    assert settings.warnings == ()
    for _, name, default in INTEGERS:
        assert getattr(settings, name) == default
    for _, name, default, _ in BOOLEANS:
        assert getattr(settings, name) is default
    for _, name, text in TEXTS:
        assert getattr(settings, name) == text
    assert not settings.ip_targets_defined


def test_the_tables_here_name_every_variable_and_field():
    ours = {variable: name for variable, name, *_ in [*INTEGERS, *BOOLEANS, *TEXTS]}
    assert ours == VARIABLES
    named = {each.name for each in dataclasses.fields(Settings)} - {"warnings"}
    assert set(ours.values()) == named


@pytest.mark.parametrize(("variable", "name", "default"), INTEGERS)
@pytest.mark.parametrize(("text", "value"), ATOI.items())
def test_integers_parse_as_atoi_does(variable, name, default, text, value):
    if variable == "MAX_ENI" and value == 0:
        value = None
    if variable == "IP_COOLDOWN_PERIOD" and value == 2**63 - 1:
        value = 0  # seconds overflow: see below
        assert Settings.from_env({variable: text}).cooldown_s == value
        return
    settings = Settings.from_env({variable: text})
    expected = default if value is None else value
    assert settings == Settings(**{name: expected})
    assert len(settings.warnings) == (value is None)


@given(
    st.sampled_from(["WARM_IP_TARGET", "WARM_ENI_TARGET"]),
    st.one_of(
        st.from_regex(r"[+-]?[0-9]{0,21}", fullmatch=True),
        st.integers(-(2**63) - 2, 2**63 + 2).map(str),
        st.text(string.digits + "+-_ .xe٣"),
        st.text(),
    ),
)
def test_targets_agree_with_a_reference_atoi(variable, text):
    value = atoi(text)
    good = value is not None and value >= 0
    settings = Settings.from_env({variable: text})
    default = {"WARM_IP_TARGET": 0, "WARM_ENI_TARGET": 1}[variable]
    assert getattr(settings, VARIABLES[variable]) == (value if good else default)
    assert [each.value for each in settings.warnings] == ([] if good else [text])


@pytest.mark.parametrize(("variable", "name", "default"), INTEGERS[:4])
def test_negative_targets_are_the_default(variable, name, default):
    settings = Settings.from_env({variable: "-3"})
    assert getattr(settings, name) == default
    assert only_warning(settings) == SettingWarning(
        variable=variable, value="-3", effect=f"below 0; the agent uses {default}"
    )


@pytest.mark.parametrize("text", ["0", "-1", "none", ""])
def test_max_eni_below_one_is_no_limit(text):
    settings = Settings.from_env({"MAX_ENI": text})
    assert settings.max_eni is None
    assert "the instance type's limit" in only_warning(settings).effect


def test_cooldown_negative_is_none_at_all():
    settings = Settings.from_env({"IP_COOLDOWN_PERIOD": "-5"})
    assert settings.cooldown_s == 0
    assert "negative" in only_warning(settings).effect
    assert Settings.from_env({"IP_COOLDOWN_PERIOD": "0"}).warnings == ()


@pytest.mark.parametrize(
    ("text", "cooldown_s"),
    [
        # int64(time.Duration(v) * time.Second) by Go: 9223372036000000000,
        # -9223372036709551616, -8446744073709551616; then 20000000000 wraps to
        # 20e18 - 2**64 = 1553255926290448384.
        ("9223372036", 9223372036),
        ("9223372037", 0),
        ("10000000000", 0),
        ("20000000000", 1553255926),
        ("-20000000000", 0),
        ("-10000000000", 8446744073),
    ],
)
def test_cooldown_overflows_as_in_go(text, cooldown_s):
    settings = Settings.from_env({"IP_COOLDOWN_PERIOD": text})
    assert settings.cooldown_s == cooldown_s
    if text == "9223372036":
        assert settings.warnings == ()
    else:
        assert only_warning(settings).effect == f"overflows; the agent uses {cooldown_s}"


@pytest.mark.parametrize(("variable", "name"), [text[:2] for text in TEXTS])
def test_texts_are_taken_as_they_are(variable, name):
    settings = Settings.from_env({variable: "true"})
    assert (getattr(settings, name), settings.warnings) == ("true", ())
    assert settings.to_env() == {variable: "true"}


def test_imds_only_mode_provisions_nothing():
    settings = Settings.from_env({"ENABLE_IMDS_ONLY_MODE": "true"})
    assert settings.imds_only
    assert settings.disable_network_resource_provisioning
    assert Settings.from_env(settings.to_env()) == settings


@pytest.mark.parametrize(("variable", "name", "unset", "odd"), BOOLEANS)
def test_booleans_parse_as_parsebool_does(variable, name, unset, odd):
    for text in TRUE:
        assert getattr(Settings.from_env({variable: text}), name) is True
        assert Settings.from_env({variable: text}).warnings == ()
    for text in FALSE:
        assert getattr(Settings.from_env({variable: text}), name) is False
        assert Settings.from_env({variable: text}).warnings == ()
    for text in ("", "yes", "on", "tRUE", "TrUe", " true", "true\n", "2", "null"):
        settings = Settings.from_env({variable: text})
        assert getattr(settings, name) is odd
        effect = f"not true or false; the agent uses {str(odd).lower()}"
        assert only_warning(settings) == SettingWarning(
            variable=variable, value=text, effect=effect
        )
    assert getattr(Settings.from_env({}), name) is unset


@given(st.text("trueTRUEfalsFALS10yno ", max_size=6))
def test_only_twelve_spellings_are_booleans(text):
    settings = Settings.from_env({"ENABLE_SUBNET_DISCOVERY": text})
    assert bool(settings.warnings) == (text not in TRUE + FALSE)
    assert settings.enable_subnet_discovery == (text not in FALSE)


def test_issue_2650_null_as_a_value():
    # WARM_ENI_TARGET: "null" (aws/amazon-vpc-cni-k8s#2650) does not turn the target off.
    settings = Settings.from_env({"WARM_ENI_TARGET": "null", "MINIMUM_IP_TARGET": "25"})
    assert settings.warm_eni_target == 1
    assert settings.minimum_ip_target == 25
    assert str(only_warning(settings)).startswith("WARM_ENI_TARGET='null': not a 64-bit integer")


@pytest.mark.parametrize(
    ("env", "defined"),
    [
        ({"WARM_IP_TARGET": "0", "MINIMUM_IP_TARGET": "0"}, False),
        ({"WARM_IP_TARGET": "1"}, True),
        ({"MINIMUM_IP_TARGET": "1"}, True),
        ({"WARM_IP_TARGET": "-1"}, False),
    ],
)
def test_ip_targets_defined(env, defined):
    assert Settings.from_env(env).ip_targets_defined is defined


def test_other_variables_are_left_alone():
    env = {"AWS_VPC_ENI_MTU": "9001", "MY_NODE_NAME": "", "ADDITIONAL_ENI_TAGS": "{}"}
    assert Settings.from_env(env) == Settings()
    assert Settings.from_env(env).warnings == ()


def test_a_variable_in_the_wrong_case_is_pointed_out():
    settings = Settings.from_env({"ENABLE_IPV6": "true", "warm_ip_target": "5"})
    assert settings == Settings()
    assert [each.effect for each in settings.warnings] == [
        "not read by the agent, which knows ENABLE_IPv6",
        "not read by the agent, which knows WARM_IP_TARGET",
    ]


@pytest.mark.parametrize("other", ["true", "false", "yes"])
def test_imds_only_mode_disables_provisioning(other):
    # disableENIProvisioning in upstream's ipamd.go: either variable does.
    env = {"ENABLE_IMDS_ONLY_MODE": "true", "DISABLE_NETWORK_RESOURCE_PROVISIONING": other}
    assert Settings.from_env(env).disable_network_resource_provisioning
    env["ENABLE_IMDS_ONLY_MODE"] = "no"
    assert Settings.from_env(env).disable_network_resource_provisioning is (other == "true")


def test_values_are_strings():
    with pytest.raises(TypeError, match="WARM_IP_TARGET=5"):
        Settings.from_env({"WARM_IP_TARGET": 5})


def test_unknown_values_are_reported_and_taken_as_unset():
    settings = Settings.from_env({"WARM_ENI_TARGET": "2"}, unknown={"WARM_IP_TARGET": "a secret"})
    assert settings == Settings(warm_eni_target=2)
    assert only_warning(settings).value == "a secret"
    assert "unknown" in only_warning(settings).effect


def test_warnings_take_no_part_in_comparisons():
    odd = Settings.from_env({"WARM_ENI_TARGET": "x"})
    assert odd.warnings
    assert odd == Settings()
    assert hash(odd) == hash(Settings())


@pytest.mark.parametrize(
    "values",
    [
        {"warm_ip_target": -1},
        {"warm_eni_target": -1},
        {"minimum_ip_target": -1},
        {"warm_prefix_target": -1},
        {"max_eni": 0},
        {"cooldown_s": -0.5},
        {"cooldown_s": float("nan")},
    ],
)
def test_impossible_values_are_refused(values):
    ((name, value),) = values.items()
    with pytest.raises(ValueError, match=f"{name}={value}"):
        Settings(**values)


def test_the_examples_in_the_documentation():
    page = Path(__file__).parent.parent / "docs" / "settings.md"
    result = doctest.testfile(str(page), module_relative=False)
    assert result.attempted >= 15
    assert result.failed == 0


# --- and back -------------------------------------------------------------------------

COUNTS = st.integers(0, 2**63 - 1)
SETTINGS = st.builds(
    Settings,
    **{name: COUNTS for _, name, _ in INTEGERS[:4]},
    max_eni=st.none() | st.integers(1, 2**63 - 1),
    cooldown_s=st.integers(0, 9223372036),
    **{name: st.booleans() for _, name, _, _ in BOOLEANS},
)


@given(SETTINGS)
def test_to_env_is_read_back_and_has_no_defaults(settings):
    env = settings.to_env()
    again = Settings.from_env(env)
    assert again == settings
    assert again.warnings == ()
    for variable in env:  # each of them is needed
        assert Settings.from_env({k: v for k, v in env.items() if k != variable}) != settings


def test_to_env_spells_as_manifests_do():
    settings = Settings(warm_ip_target=10, enable_prefix_delegation=True, cooldown_s=60.0)
    assert settings.to_env() == {
        "WARM_IP_TARGET": "10",
        "IP_COOLDOWN_PERIOD": "60",
        "ENABLE_PREFIX_DELEGATION": "true",
    }


@pytest.mark.parametrize("cooldown_s", [2.5, float("inf")])
def test_to_env_refuses_what_the_agent_cannot_read(cooldown_s):
    with pytest.raises(ValueError, match="whole seconds"):
        Settings(cooldown_s=cooldown_s).to_env()


# --- what the agent refuses -----------------------------------------------------------


@given(SETTINGS, st.booleans())
def test_problems_are_those_of_pool_rules_section_1(settings, nitro):
    good_ipv4 = settings.enable_ipv4 and not settings.enable_ipv6
    good_ipv6 = (
        settings.enable_ipv6
        and not settings.enable_ipv4
        and settings.enable_prefix_delegation
        and not settings.custom_networking
        and nitro
    )
    assert (problems(settings, nitro=nitro) == ()) == (good_ipv4 or good_ipv6)


def test_problems_name_every_reason():
    settings = Settings(enable_ipv6=True, custom_networking=True)
    found = problems(settings, nitro=False)
    assert len(found) == 4
    assert "both enabled" in found[0]
    assert "both disabled" in problems(Settings(enable_ipv4=False))[0]
