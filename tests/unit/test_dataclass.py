"""Our dataclass beside the standard library's: every class of the product is made by both."""

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, asdict, field, replace
from typing import Any

import pytest
import whatsapp
from whatsapp.domain.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Ours:
    """A value."""

    first: int
    second: str = "two"
    secret: str = field(default="hidden", repr=False)
    many: list[int] = field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class Standard:
    """The same."""

    first: int
    second: str = "two"
    secret: str = field(default="hidden", repr=False)
    many: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named(Ours):
    """With a field that is given by name."""

    third: int
    second: str = "zwei"


@pytest.mark.parametrize(
    ("args", "given"),
    [((1,), {}), ((1, "b", "c", [1]), {}), ((), {"first": 1}), ((1,), {"second": "b", "many": [2]})],
)
def test_values_are_as_the_standard_librarys(args: tuple[Any, ...], given: dict[str, Any]) -> None:
    ours, standard = Ours(*args, **given), Standard(*args, **given)
    assert asdict(ours) == asdict(standard)
    assert repr(ours) == repr(standard).replace("Standard", "Ours")
    assert "hidden" not in repr(ours)
    assert ours == Ours(*args, **given)
    assert asdict(replace(ours, first=9)) == asdict(replace(standard, first=9))


@pytest.mark.parametrize(
    ("args", "given"),
    [((), {}), ((1, "b", "c", [], 5), {}), ((1,), {"first": 1}), ((1,), {"fourth": 4})],
)
@pytest.mark.parametrize("kind", [Ours, Standard])
def test_wrong_arguments_are_refused(kind: Any, args: tuple[Any, ...], given: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        kind(*args, **given)


def test_values_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Ours(1).first = 2  # type: ignore[misc]  # what is tested
    with pytest.raises(FrozenInstanceError):
        del Ours(1).first
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        Ours(1).other = 2  # type: ignore[attr-defined]


def test_each_has_a_list_of_its_own() -> None:
    assert Ours(1).many is not Ours(1).many


def test_subclass_has_the_fields_of_both() -> None:
    assert asdict(Named(1, third=3)) == {"first": 1, "second": "zwei", "secret": "hidden", "many": [], "third": 3}
    with pytest.raises(TypeError):
        Named(*[1, "zwei", "c", [], 3])  # type: ignore[call-arg,arg-type]  # what is tested
    assert Named(1, third=3) != Ours(1)


def test_equal_values_have_equal_hashes() -> None:
    @dataclass(frozen=True, slots=True)
    class Key:
        """Hashable."""

        one: int
        two: str

    assert {Key(1, "a"): "found"}[Key(1, "a")] == "found"
    assert len({Key(1, "a"), Key(1, "b")}) == 2


def _same(one: "dataclasses.Field[Any]") -> Any:
    return field(default=one.default, default_factory=one.default_factory, kw_only=one.kw_only)


def classes() -> Iterator[Any]:
    for found in pkgutil.walk_packages(whatsapp.__path__, "whatsapp."):
        module = importlib.import_module(found.name)
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if dataclasses.is_dataclass(kind) and kind.__module__ == module.__name__ and "__own_fields__" in vars(kind):
                yield pytest.param(kind, id=f"{kind.__module__}.{kind.__name__}")


@pytest.mark.parametrize("kind", list(classes()))
def test_every_class_of_the_product_is_as_the_standard_one_would_be(kind: Any) -> None:
    """The same fields, by position and by name, with the same defaults; instances have no room for anything else."""
    fields = dataclasses.fields(kind)
    standard = dataclasses.make_dataclass(
        kind.__name__,
        [
            (f.name, f.type, field(default=f.default, default_factory=f.default_factory, kw_only=f.kw_only))
            for f in fields
        ],
        frozen=True,
    )
    required = {f.name: f"value of {f.name}" for f in fields if f.default is f.default_factory is dataclasses.MISSING}
    assert kind.__match_args__ == standard.__match_args__  # type: ignore[attr-defined]
    ours, theirs = kind(**required), standard(**required)
    assert [getattr(ours, f.name) for f in fields] == [getattr(theirs, f.name) for f in fields]
    assert not hasattr(ours, "__dict__")
    for name in required:
        with pytest.raises(TypeError):
            kind(**{other: value for other, value in required.items() if other != name})
