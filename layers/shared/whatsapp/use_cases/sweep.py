"""One pass over the items that are due: the loop that every sweep shares."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import field
from typing import Any, TypeVar

from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.ports import Clock, Deadline

T = TypeVar("T")
RunAll = Callable[[Callable[[Any], int], Iterable[Any]], Iterable[int]]
"""Like `map`, perhaps in several threads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Claims each due item, acts on it while time is left, and keeps errors for the end.

    One item's error must not stop the others: it is still due, so the next sweep finds it again.
    """

    clock: Clock
    deadline: Deadline
    outages: tuple[type[Exception], ...] = ()
    """Errors that say that another service is down. They are counted in `unanswered`, not raised."""
    errors: list[Exception] = field(default_factory=list)
    unanswered: list[Exception] = field(default_factory=list)

    def each(
        self,
        due: Iterable[T],
        act: Callable[[T], int],
        *,
        claim: Callable[[T], T | bool | None] = lambda item: item,
        needs: int,
    ) -> int:
        """Act on every item; returns the sum of what `act` returned, where True is one.

        Args:
            due: the items, as the index shows them: a hint.
            act: takes what `claim` returned, or the item where that is `True`.
            claim: postpones the item, so that two sweeps at once act on it once. False or None: another one has it.
            needs: the time in ms that one item may take. Nothing is started with less left.
        """
        done = 0
        for item in due:
            if not self.has_time(needs):
                break
            with self.collecting_errors():
                if claimed := claim(item):
                    done += act(item if claimed is True else claimed)
        return done

    def has_time(self, needs: int) -> bool:
        """Whether that many milliseconds are left."""
        return self.deadline.at - self.clock.now() >= needs

    @contextmanager
    def collecting_errors(self) -> Iterator[None]:
        """Keep an error for the end."""
        try:
            yield
        except self.outages as error:
            self.unanswered.append(error)
        except Exception as error:  # noqa: BLE001 - one item's error must not stop the others
            self.errors.append(error)

    def raise_errors(self, what: str) -> None:
        """Raise the errors that were kept, after everything else is done.

        Raises:
            ExceptionGroup: the errors, under `what`.
        """
        if self.errors:
            raise ExceptionGroup(what, self.errors)
