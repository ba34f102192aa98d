"""DynamoDB's tables as the stores use them: conditions, updates, transactions, queries. In memory, and fast.

`test_tables.py` holds every answer to MiniStack's. What the stores do not use raises, so that nothing is guessed.
Stored values are never changed in place: a copy of `items` is a backup.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

Item = Mapping[str, Any]
"""An item in DynamoDB's notation: `{"due_at": {"N": "17"}}`."""
Request = dict[str, Any]
Answer = tuple[int, dict[str, Any]]
Read = Callable[[Item, Request], Any]
"""Reads an operand, or judges a condition, of an item; the request has the placeholders' names and values."""

_TOKEN = re.compile(r"\s*(<>|<=|>=|[=<>(),+-]|[#:]?\w+|$)")
_LAST = {"S": "\U0010ffff", "N": 1 << 62}


class Table:
    """One table: its items by their two keys, and its indexes' keys by name."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        self.keys = _names(definition["KeySchema"])
        self.indexes = {i["IndexName"]: _names(i["KeySchema"]) for i in definition.get("GlobalSecondaryIndexes", ())}
        self.items: dict[tuple[str, ...], Item] = {}
        self.indexed_at: dict[tuple[str, tuple[str, ...]], int] = {}
        """By index and item: when the item's entry last changed there. Our indexes have keys only."""

    def key_of(self, item: Item) -> tuple[str, ...]:
        """Under which it stands; every key of ours is a string."""
        return tuple([item[name]["S"] for name in self.keys])

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items.values())


class Tables(dict[str, Table]):
    """Some tables, and the operations on them. Each answers with an HTTP status and a body, as DynamoDB does."""

    now = 0

    def ask(self, operation: str, request: Request, now: int = 0) -> Answer:
        """Carry out one request."""
        self.now = now
        work: Callable[[Request], Answer] = getattr(self, f"_{operation}")
        return work(request)

    def _GetItem(self, request: Request) -> Answer:  # noqa: N802 - an operation's own name
        table = self[request["TableName"]]
        item = table.items.get(table.key_of(request["Key"]))
        return 200, {"Item": item} if item else {}

    def _BatchGetItem(self, request: Request) -> Answer:  # noqa: N802 - likewise
        responses: dict[str, list[Item]] = {}
        for name, asked in request["RequestItems"].items():
            table = self[name]
            found = [table.items.get(table.key_of(key)) for key in asked["Keys"]]
            only = [
                asked["ExpressionAttributeNames"][n] for n in asked.get("ProjectionExpression", "").split(", ") if n
            ]
            responses[name] = [_part(item, only) if only else item for item in found if item]
        return 200, {"Responses": responses, "UnprocessedKeys": {}}

    def _Query(self, request: Request) -> Answer:  # noqa: N802 - likewise
        table = self[request["TableName"]]
        index = request.get("IndexName")
        keys = [*table.indexes[index], *table.keys] if index else table.keys
        holds = _condition(request["KeyConditionExpression"])
        found = [i for i in table if holds(i, request) and (not index or all(name in i for name in keys))]
        forward = request.get("ScanIndexForward", True)
        if len(found) > 1:
            found.sort(key=lambda item: _place(item, keys), reverse=not forward)
        if start := request.get("ExclusiveStartKey"):
            after = _place(start, keys)
            found = [i for i in found if (_place(i, keys) > after if forward else _place(i, keys) < after)]
        limit = request.get("Limit", len(found) + 1)
        page = [_part(item, keys) if index else item for item in found[:limit]]
        answer = {"Items": page, "Count": len(page), "ScannedCount": len(page)}
        return 200, answer if len(found) < limit else {**answer, "LastEvaluatedKey": _part(page[-1], keys)}

    def _PutItem(self, request: Request) -> Answer:  # noqa: N802 - likewise
        return self._write("Put", request) or (200, {})

    def _UpdateItem(self, request: Request) -> Answer:  # noqa: N802 - likewise
        refused = self._write("Update", request)
        table = self[request["TableName"]]
        return refused or (200, {"Attributes": table.items[table.key_of(request["Key"])]})

    def _TransactWriteItems(self, request: Request) -> Answer:  # noqa: N802 - likewise
        actions = [(kind, action) for member in request["TransactItems"] for kind, action in member.items()]
        reasons = [self._reason(kind, action) for kind, action in actions]
        if any(reason["Code"] != "None" for reason in reasons):
            codes = ", ".join(reason["Code"] for reason in reasons)
            message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
            return 400, {
                "__type": "TransactionCanceledException",
                "message": message,
                "CancellationReasons": reasons,
            }
        for kind, action in actions:
            self._apply(kind, action)
        return 200, {}

    def _write(self, kind: str, action: Request) -> Answer | None:
        """Make one conditional write; the answer if it is refused."""
        reason = self._reason(kind, action)
        if reason.pop("Code") == "None":
            self._apply(kind, action)
            return None
        message = "The conditional request failed"
        return 400, {**reason, "__type": "ConditionalCheckFailedException", "message": message}

    def _reason(self, kind: str, action: Request) -> dict[str, Any]:
        """Why an action cannot be taken, with the item as it stands; the code "None" if it can."""
        table = self[action["TableName"]]
        item = table.items.get(table.key_of(action["Item" if kind == "Put" else "Key"]))
        if "ConditionExpression" not in action or _condition(action["ConditionExpression"])(item or {}, action):
            return {"Code": "None"}
        return {"Code": "ConditionalCheckFailed", **({"Item": item} if item else {})}

    def _apply(self, kind: str, action: Request) -> None:
        table = self[action["TableName"]]
        key = table.key_of(action["Item" if kind == "Put" else "Key"])
        before = table.items.get(key, {})
        if kind == "Put":
            table.items[key] = action["Item"]
        else:
            old: Item = before or action["Key"]
            new = dict(old)
            for change in _update(action["UpdateExpression"]):
                change(old, new, action)
            table.items[key] = new
        for index, names in table.indexes.items():
            if _part(before, names) != _part(table.items[key], names):
                table.indexed_at[index, key] = self.now


def _names(schema: Sequence[Mapping[str, str]]) -> list[str]:
    return [key["AttributeName"] for key in schema]


def _part(item: Item, names: Sequence[str]) -> Item:
    return {name: item[name] for name in names if name in item}


def _place(item: Item, names: Sequence[str]) -> tuple[Any, ...]:
    return tuple([_plain(item[name]) for name in names])


def _plain(value: Mapping[str, Any]) -> Any:
    """What is compared: a number, a text or a set."""
    ((kind, content),) = value.items()
    return int(content) if kind == "N" else frozenset(content) if kind == "SS" else content


# --- expressions: each is read once, and kept as a function ----------------------------------------------------------


class _Reader:
    """Reads an expression token by token."""

    def __init__(self, text: str) -> None:
        self._tokens = [match[1] for match in _TOKEN.finditer(text)]
        assert "".join(self._tokens) == re.sub(r"\s", "", text), f"not read: {text}"
        self._next = 0

    @property
    def token(self) -> str:
        return self._tokens[self._next]

    def take(self, *expected: str) -> str:
        token = self.token
        assert not expected or token in expected, f"{token!r} is none of {expected}"
        self._next += 1
        return token

    def is_next(self, token: str) -> bool:
        """Take it if it comes next."""
        if self.token != token:
            return False
        self._next += 1
        return True

    def condition(self) -> Read:
        """Conditions joined by OR, which binds less than AND."""
        return self._joined("OR", any, lambda: self._joined("AND", all, self._simple))

    def _joined(self, word: str, holds: Callable[[Iterator[Any]], bool], part: Callable[[], Read]) -> Read:
        parts = [part()]
        while self.is_next(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else lambda item, request: holds(p(item, request) for p in parts)

    def _simple(self) -> Read:
        if self.is_next("NOT"):
            inner = self._simple()
            return lambda item, request: not inner(item, request)
        if self.is_next("("):
            inner = self.condition()
            self.take(")")
            return inner
        if self.token in _FUNCTIONS:
            judge, arguments = _FUNCTIONS[self.take()], self._arguments()
            return lambda item, request: judge(*[argument(item, request) for argument in arguments])
        left = self.operand()
        word = self.take()
        if word == "BETWEEN":
            low = self.operand()
            self.take("AND")
            high = self.operand()
            return lambda item, request: _between(left(item, request), low(item, request), high(item, request))
        if word == "IN":
            values = self._arguments()
            return lambda item, request: _is_one_of(left(item, request), [value(item, request) for value in values])
        compare, right = _COMPARISONS[word], self.operand()
        return lambda item, request: compare(left(item, request), right(item, request))

    def _arguments(self) -> list[Read]:
        self.take("(")
        arguments = [self.operand()]
        while self.is_next(","):
            arguments.append(self.operand())
        self.take(")")
        return arguments

    def operand(self) -> Read:
        """An attribute, a value, `size(…)` or `if_not_exists(…)`; None where there is no such attribute."""
        token = self.take()
        if token in _VALUES:
            make, arguments = _VALUES[token], self._arguments()
            return lambda item, request: make(*[argument(item, request) for argument in arguments])
        if token[0] == ":":
            return lambda _, request: request["ExpressionAttributeValues"][token]
        return lambda item, request: item.get(request["ExpressionAttributeNames"][token])

    def name(self) -> Callable[[Request], str]:
        token = self.take()
        return lambda request: str(request["ExpressionAttributeNames"][token])


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Compares values of one kind; those of two, and what is not there, are in no order."""
    return lambda left, right: bool(left and left.keys() == right.keys() and compare(_plain(left), _plain(right)))


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": _ordered(lambda left, right: left == right),
    "<": _ordered(lambda left, right: left < right),
    "<=": _ordered(lambda left, right: left <= right),
    ">": _ordered(lambda left, right: left > right),
    ">=": _ordered(lambda left, right: left >= right),
}


def _between(value: Any, low: Any, high: Any) -> bool:
    return _COMPARISONS["<="](low, value) and _COMPARISONS["<="](value, high) if value else False


def _is_one_of(value: Any, values: Sequence[Any]) -> bool:
    return any(_COMPARISONS["="](value, other) for other in values)


def _contains(value: Any, part: Any) -> bool:
    return bool(value) and part["S"] in next(iter(value.values()))


def _size(value: Any) -> dict[str, str] | None:
    return {"N": str(len(next(iter(value.values()))))} if value else None


_FUNCTIONS: dict[str, Callable[..., bool]] = {
    "attribute_exists": lambda value: value is not None,
    "attribute_not_exists": lambda value: value is None,
    "begins_with": lambda value, start: bool(value) and value["S"].startswith(start["S"]),
    "contains": _contains,
}
_VALUES: dict[str, Callable[..., Any]] = {
    "size": _size,
    "if_not_exists": lambda value, default: default if value is None else value,
}


@cache
def _condition(text: str) -> Read:
    reader = _Reader(text)
    read = reader.condition()
    reader.take("")
    return read


Update = Callable[[Item, dict[str, Any], Request], None]


@cache
def _update(text: str) -> Sequence[Update]:
    """The changes of an update, each from the item as it was to the item as it will be."""
    reader = _Reader(text)
    changes = []
    while not reader.is_next(""):
        verb = reader.take("SET", "REMOVE", "ADD", "DELETE")
        changes.append(_CHANGES[verb](reader))
        while reader.is_next(","):
            changes.append(_CHANGES[verb](reader))
    return changes


def _set(reader: _Reader) -> Update:
    name = reader.name()
    reader.take("=")
    value = reader.operand()
    return lambda old, new, request: new.update({name(request): value(old, request)})


def _remove(reader: _Reader) -> Update:
    name = reader.name()
    return lambda _, new, request: new.pop(name(request), None)


def _add(reader: _Reader) -> Update:
    name, value = reader.name(), reader.operand()

    def change(old: Item, new: dict[str, Any], request: Request) -> None:
        more, known = value(old, request), old.get(name(request))
        if "N" in more:
            new[name(request)] = {"N": str(int(more["N"]) + int((known or {"N": "0"})["N"]))}
        else:
            new[name(request)] = {"SS": sorted({*more["SS"], *(known or {"SS": ()})["SS"]})}

    return change


def _delete(reader: _Reader) -> Update:
    name, value = reader.name(), reader.operand()

    def change(old: Item, new: dict[str, Any], request: Request) -> None:
        known = old.get(name(request), {"SS": ()})["SS"]
        if left := sorted({*known} - {*value(old, request)["SS"]}):
            new[name(request)] = {"SS": left}
        else:
            new.pop(name(request), None)

    return change


_CHANGES: dict[str, Callable[[_Reader], Update]] = {"SET": _set, "REMOVE": _remove, "ADD": _add, "DELETE": _delete}
