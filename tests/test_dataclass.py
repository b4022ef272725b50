"""`ipam_core._dataclass` beside the standard library's: the same classes of values from both."""

import copy
import dataclasses
import inspect
import pickle
from dataclasses import field
from typing import ClassVar

import pytest

from ipam_core import _dataclass
from ipam_core._dataclass import dataclass
from ipam_core.effects import AssignPrefixes, AttachEni, Effect

OPTIONS = [
    {"frozen": True, "slots": slots, "kw_only": kw_only}
    for slots in (False, True)
    for kw_only in (False, True)
]


def empty(decorate):
    @decorate
    class Value:
        """None."""

    return Value


def one(decorate):
    @decorate
    class Value:
        """One."""

        a: float

    return Value


def several(decorate):
    @decorate
    class Value(Effect):
        """Several."""

        api: ClassVar[str] = "Call"
        a: int
        b: str = "b"
        c: list[int] = field(default_factory=list)
        d: int = field(default=4, compare=False)
        e: int = field(default=5, repr=False)
        f: int = field(default=6, hash=False)

    return Value


def not_given(decorate):
    @decorate
    class Value:
        """Fields that `__init__` does not take, and one that is always by name."""

        a: int
        b: int = field(init=False, default=2)
        c: list[int] = field(init=False, default_factory=list)
        d: int = field(kw_only=True)
        e: int = 5

    return Value


def own(decorate):
    @decorate
    class Value:  # noqa: PLW1641 - the hash is the decorator's
        """With methods of its own."""

        a: int
        b: int = 2

        def __post_init__(self):
            object.__setattr__(self, "b", self.a)

        def __repr__(self):
            return "own"

        def __eq__(self, other):
            return True

    return Value


BODIES = [empty, one, several, not_given, own]
CALLS = [
    (), (1,), (1, 2), (1, "b", [3]), (1, "b", [3], 4, 5, 6), (1, 2, 3, 4, 5, 6, 7), ((),),
]  # fmt: skip
NAMED = [
    {}, {"a": 1}, {"a": 1, "d": 4}, {"a": 1, "d": 9, "e": 8}, {"a": 1, "c": [9]},
    {"a": 1, "no": 2}, {"a": float("nan")}, {"a": 1, "f": 7}, {"d": 4},
    {"a": 1, "c": ()}, {"a": 1, "c": (), "d": 9}, {"a": 1, "c": (), "e": 9},
    {"a": 1, "c": (), "f": 9},
]  # fmt: skip


def outcome(function):
    """Return what a call gives, or its error in words; the classes have different places."""
    try:
        return function()
    except (TypeError, ValueError, AttributeError) as error:
        return type(error), str(error)


def about(value, others):
    """Return all that a value answers."""
    if isinstance(value, tuple):
        return value
    names = [each.name for each in dataclasses.fields(value)]
    return {
        "repr": repr(value),
        "values": [(name, getattr(value, name)) for name in names],
        "equal": [value == other for other in others] + [value == copy.copy(value)],
        "unequal to others": value != 5 and value.__eq__(5) is NotImplemented,
        "hash": outcome(lambda: hash(value)),
        "dict": dataclasses.asdict(value),
        "assign": [outcome(lambda name=name: setattr(value, name, 1)) for name in names],
        "delete": [outcome(lambda name=name: delattr(value, name)) for name in names],
        "state": value.__getstate__(),
        "replaced": [
            outcome(lambda name=name: repr(dataclasses.replace(value, **{name: 8})))
            for name in names
        ],
        "again": repr(copy.deepcopy(value)),
    }


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("body", BODIES)
def test_a_value_is_as_the_standard_library_s(body, options, monkeypatch):
    usual = body(dataclasses.dataclass(**options))
    monkeypatch.setattr(dataclasses, "dataclass", only_for_fields(dataclasses.dataclass))
    mine = body(dataclass(**options))
    answers = []
    for cls in (mine, usual):
        made = [
            outcome(
                lambda cls=cls, each=each: cls(*each) if isinstance(each, tuple) else cls(**each)
            )
            for each in [*CALLS, *NAMED]
        ]
        answers.append([about(value, made) for value in made])
        answers[-1] += [
            str(inspect.signature(cls)), cls.__match_args__, cls.__doc__, cls.__qualname__,
            cls.__module__, cls.__init__.__qualname__, cls.__init__.__module__,
            repr(cls.__dataclass_params__), [str(each) for each in dataclasses.fields(cls)],
            cls.__dict__.get("__slots__"), sorted(set(cls.__dict__) - {"__slotnames__"}),
        ]  # fmt: skip
    assert answers[0] == answers[1]


def only_for_fields(standard):
    """Return the standard library's decorator; it fails where it would do all of the work."""

    def checked(*of, **options):
        assert options.get("init") is False
        return standard(*of, **options)

    return checked


@pytest.mark.parametrize("slots", [False, True])
def test_a_default_before_a_field_without_is_refused(slots):
    class Value:
        """Wrong."""

        a: int = 1
        b: int

    for decorate in (dataclass, dataclasses.dataclass):
        with pytest.raises(TypeError, match="non-default argument 'b' follows default argument"):
            decorate(frozen=True, slots=slots)(type("Value", (), dict(Value.__dict__)))


def test_a_value_inherits_from_another_in_both_directions():
    @dataclass(frozen=True)
    class First:
        """First."""

        a: int

    @dataclasses.dataclass(frozen=True)
    class Second(First):
        """Second."""

        b: int = 2

    @dataclass(frozen=True)
    class Third(Second):
        """Third."""

        c: int = 3

    assert repr(Third(1)).endswith("Third(a=1, b=2, c=3)")
    assert Third(1) != Second(1)
    with pytest.raises(TypeError, match="non-frozen"):
        dataclass(type("Fourth", (First,), {"__doc__": "", "__annotations__": {}}))


def test_a_subclass_that_is_no_dataclass_has_attributes_of_its_own():
    class More(AssignPrefixesAlike):
        pass

    more = More("eni", 2)
    more.extra = 5
    assert more.extra == 5
    del more.extra
    for change in (lambda: setattr(more, "count", 3), lambda: delattr(more, "count")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            change()


def test_a_name_that_is_no_field_is_refused_too():
    for change in (
        lambda: setattr(AssignPrefixes("eni", 2), "no", 1),
        lambda: delattr(AssignPrefixes("eni", 2), "no"),
    ):
        with pytest.raises(dataclasses.FrozenInstanceError, match="'no'"):
            change()


@dataclass(frozen=True)
class AssignPrefixesAlike:
    """As an effect, with a `__dict__`."""

    eni_id: str
    count: int


def test_effects_of_one_shape_share_code_and_are_not_equal():
    assert AssignPrefixes.__init__.__code__ is AssignPrefixesAlike.__init__.__code__
    assert AssignPrefixes("eni", 2) != AssignPrefixesAlike("eni", 2)
    with pytest.raises(TypeError, match=r"AssignPrefixes.__init__\(\) missing 1 .*'count'"):
        AssignPrefixes("eni")


@pytest.mark.parametrize(
    "value", [AssignPrefixes("eni", 2), AttachEni("eni", 1), AssignPrefixesAlike("eni", 2)]
)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_value_survives_a_pickle(value, protocol):
    assert pickle.loads(pickle.dumps(value, protocol)) == value


def test_a_pickle_of_the_standard_library_s_class_is_read():
    usual = dataclasses.dataclass(frozen=True, slots=True)(
        type("V", (), {"__doc__": "", "__annotations__": {"eni_id": str, "count": int}})
    )
    state = usual("eni", 2).__getstate__()
    mine = AssignPrefixes.__new__(AssignPrefixes)
    mine.__setstate__(state)
    assert mine == AssignPrefixes("eni", 2)
    with pytest.raises(ValueError, match="shorter"):
        mine.__setstate__(["eni"])


@pytest.mark.parametrize("options", [{"slots": True}, {"frozen": True, "order": True}, {}], ids=str)
def test_other_classes_are_left_to_the_standard_library(options, monkeypatch):
    monkeypatch.delattr(_dataclass, "_frozen")
    made = one(dataclass(**options))
    assert repr(made(1.5)).endswith("Value(a=1.5)")
