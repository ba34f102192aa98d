"""The standard library's frozen dataclass, with methods that all classes share.

The standard one writes and compiles methods for each class: with sixty classes, that took a third of a cold start.
"""

import dataclasses
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(*, slots: bool, frozen: bool = False, kw_only: bool = False, eq: bool = True) -> Any:
        """Decorate a class. `fields`, `replace` and `asdict` of the standard library work with it."""
        shared: dict[str, Any] = {"__init__": _init, "__repr__": _repr}
        if frozen:
            shared |= {"__setattr__": _refuse, "__delattr__": _refuse}
        if eq:
            shared |= {"__eq__": _eq, "__hash__": _hash}

        def decorate(cls: type) -> Any:
            methods = {name: method for name, method in shared.items() if name not in vars(cls)}
            make = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)
            made: Any = make(cls)
            for name, method in methods.items():
                setattr(made, name, method)
            made.__own_fields__ = tuple((f.name, f.default, f.default_factory) for f in dataclasses.fields(made))
            return made

        return decorate


_MISSING = dataclasses.MISSING


def _init(self: Any, *args: Any, **given: Any) -> None:
    cls = type(self)
    if args:
        positional = dict(zip(cls.__match_args__, args, strict=False))
        if len(args) > len(positional) or positional.keys() & given.keys():
            raise TypeError(f"{cls.__name__}() got too many arguments")
        given |= positional
    put = object.__setattr__
    for name, default, factory in cls.__own_fields__:
        if name in given:
            put(self, name, given.pop(name))
        elif default is not _MISSING:
            put(self, name, default)
        elif factory is not _MISSING:
            put(self, name, factory())
        else:
            raise TypeError(f"{cls.__name__}() lacks the argument {name}")
    if given:
        raise TypeError(f"{cls.__name__}() has no field {', '.join(given)}")


def _repr(self: Any) -> str:
    shown = (f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _values(self: Any) -> tuple[Any, ...]:
    return tuple([getattr(self, name) for name, _, _ in self.__own_fields__])


def _eq(self: Any, other: object) -> Any:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _refuse(_self: Any, name: str, *_: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot change field {name!r}")
