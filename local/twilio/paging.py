"""Twilio's two page styles. A token names the item beside the page, so new items do not shift the pages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

T = TypeVar("T")
AFTER, BEFORE = "PA", "PB"
DEFAULT_SIZE = 50


@dataclass
class Page(Generic[T]):
    items: Sequence[T]
    number: int
    size: int
    start: int
    query: QueryParams
    next_token: str | None
    previous_token: str | None

    @classmethod
    def of(
        cls,
        items: Sequence[T],
        sid: Callable[[T], str],
        query: QueryParams,
        listed: Callable[[T], bool] = lambda _: True,
    ) -> "Page[T]":
        """Cut one page out of those `items` that are `listed`. A token may name one that no longer is.

        An unreadable PageSize or an unknown token count as absent.
        """
        size = query.get("PageSize", "")
        size_number = min(max(int(size), 1), 1000) if size.isdecimal() else DEFAULT_SIZE
        token, number = query.get("PageToken", ""), query.get("Page", "0")
        index = next((i for i, item in enumerate(items) if sid(item) == token[2:]), None)
        shown = [item for item in items if listed(item)]
        start, end = 0, size_number
        if index is not None and token.startswith(AFTER):
            start = sum(map(listed, items[: index + 1]))
            end = start + size_number
        elif index is not None:
            end = sum(map(listed, items[:index]))
            start = max(end - size_number, 0)
        chosen = shown[start:end]
        return cls(
            items=chosen,
            number=int(number) if number.isdecimal() else 0,
            size=size_number,
            start=start,
            query=query,
            next_token=AFTER + sid(chosen[-1]) if chosen and end < len(shown) else None,
            previous_token=BEFORE + sid(chosen[0]) if chosen and start > 0 else None,
        )

    def _link(self, base: str, number: int, token: str | None) -> str:
        filters = [pair for pair in self.query.multi_items() if pair[0] not in ("PageSize", "Page", "PageToken")]
        paging: list[tuple[str, str]] = [("PageSize", str(self.size)), ("Page", str(number))]
        if token:
            paging.append(("PageToken", token))
        return f"{base}?{urlencode([*filters, *paging])}"

    def _next(self, base: str) -> str | None:
        return self._link(base, self.number + 1, self.next_token) if self.next_token else None

    def _previous(self, base: str) -> str | None:
        return self._link(base, max(self.number - 1, 0), self.previous_token) if self.previous_token else None

    def as_2010(self, key: str, items: list[dict[str, Any]], uri: str) -> dict[str, Any]:
        """The 2010 API's page: paging fields beside the list."""
        return {
            key: items,
            "first_page_uri": self._link(uri, 0, None),
            "next_page_uri": self._next(uri),
            "previous_page_uri": self._previous(uri),
            "uri": self._link(uri, self.number, self.query.get("PageToken")),
            "page": self.number,
            "page_size": self.size,
            "start": self.start,
            "end": max(self.start + len(items) - 1, 0),
        }

    def as_meta(self, key: str, items: list[dict[str, Any]], url: str) -> dict[str, Any]:
        """The newer APIs' page: paging fields under `meta`."""
        return {
            key: items,
            "meta": {
                "page": self.number,
                "page_size": self.size,
                "first_page_url": self._link(url, 0, None),
                "previous_page_url": self._previous(url),
                "url": self._link(url, self.number, self.query.get("PageToken")),
                "next_page_url": self._next(url),
                "key": key,
            },
        }
