"""Values, conditions and updates in DynamoDB's notation. boto3 has the same, but takes half of a cold start to load."""

from collections.abc import Iterable, Mapping
from typing import Any

Item = dict[str, Any]


class Names:
    """The placeholders of one expression's attribute names and values."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.values: dict[str, Any] = {}

    def of(self, attribute: str) -> str:
        """An attribute's placeholder: some names are reserved words."""
        return _placed(self.names, "#n", attribute)

    def value(self, value: Any) -> str:
        """A value's placeholder."""
        return _placed(self.values, ":v", value)

    def request(self) -> dict[str, Any]:
        """The fields of a request that explain the placeholders. DynamoDB refuses empty ones."""
        request: dict[str, Any] = {}
        if self.names:
            request["ExpressionAttributeNames"] = self.names
        if self.values:
            request["ExpressionAttributeValues"] = dump(self.values)
        return request


def _placed(placeholders: dict[str, Any], kind: str, content: Any) -> str:
    placeholder = f"{kind}{len(placeholders)}"
    placeholders[placeholder] = content
    return placeholder


class Condition:
    """What must hold of an item. `form` has a place for each operand: an attribute, a condition or a value."""

    def __init__(self, form: str, *operands: Any) -> None:
        self._form = form
        self._operands = operands

    def written(self, names: Names) -> str:
        """The expression, with its names and values added to `names`."""
        written = [o.written(names) if isinstance(o, (Attr, Condition)) else names.value(o) for o in self._operands]
        return self._form.format(*written)

    def __and__(self, other: "Condition") -> "Condition":
        return Condition("({} AND {})", self, other)

    def __or__(self, other: "Condition") -> "Condition":
        return Condition("({} OR {})", self, other)

    def __invert__(self) -> "Condition":
        return Condition("(NOT {})", self)


class Attr:
    """An attribute, to be compared. The methods have boto3's names."""

    def __init__(self, name: str, form: str = "{}") -> None:
        self._name = name
        self._form = form

    def written(self, names: Names) -> str:
        """The attribute's placeholder."""
        return self._form.format(names.of(self._name))

    def eq(self, value: Any) -> Condition:
        return Condition("{} = {}", self, value)

    def lt(self, value: Any) -> Condition:
        return Condition("{} < {}", self, value)

    def lte(self, value: Any) -> Condition:
        return Condition("{} <= {}", self, value)

    def gt(self, value: Any) -> Condition:
        return Condition("{} > {}", self, value)

    def gte(self, value: Any) -> Condition:
        return Condition("{} >= {}", self, value)

    def between(self, low: Any, high: Any) -> Condition:
        return Condition("{} BETWEEN {} AND {}", self, low, high)

    def is_in(self, values: Iterable[Any]) -> Condition:
        listed = list(values)
        return Condition(f"{{}} IN ({', '.join(['{}'] * len(listed))})", self, *listed)

    def begins_with(self, text: str) -> Condition:
        return Condition("begins_with({}, {})", self, text)

    def contains(self, value: Any) -> Condition:
        return Condition("contains({}, {})", self, value)

    def exists(self) -> Condition:
        return Condition("attribute_exists({})", self)

    def not_exists(self) -> Condition:
        return Condition("attribute_not_exists({})", self)

    def size(self) -> "Attr":
        """The number of its elements, to be compared."""
        return Attr(self._name, "size({})")


def dump(values: Mapping[str, Any]) -> Item:
    """Python values as DynamoDB's; None and empty sets are left out, since an absent attribute says the same."""
    return {name: _dumped(value) for name, value in values.items() if value is not None and value != frozenset()}


def load(item: Mapping[str, Any]) -> Item:
    """DynamoDB's values as Python's. Numbers are ints: the tables hold no others."""
    return {name: _loaded(value) for name, value in item.items()}


def _dumped(value: Any) -> dict[str, Any]:
    match value:
        case str():
            return {"S": value}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case None:
            return {"NULL": True}
        case set() | frozenset():
            return {"SS": sorted(value)}
        case Mapping():
            return {"M": {name: _dumped(inner) for name, inner in value.items()}}
        case list() | tuple():
            return {"L": [_dumped(inner) for inner in value]}
    raise TypeError(f"DynamoDB's tables hold no {type(value).__name__} here")


def _loaded(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return int(content)
        case "SS":
            return set(content)
        case "M":
            return load(content)
        case "L":
            return [_loaded(inner) for inner in content]
        case "NULL":
            return None
    return content
