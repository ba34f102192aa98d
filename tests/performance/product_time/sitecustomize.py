"""Product time: the clock is ahead of the machine's by the nanoseconds that stand in a file.

Python imports this by itself where this folder is on PYTHONPATH: the soak's embedded AWS, its functions, its Twilio.
Waiting and time limits go by `time.monotonic()`, which stays the machine's.
"""

import datetime
import mmap
import os
import time

ahead = mmap.mmap(os.open(os.environ["PRODUCT_TIME"], os.O_RDONLY), 8, access=mmap.ACCESS_READ)


def time_ns() -> int:
    """For `time.time_ns()`."""
    return time.clock_gettime_ns(time.CLOCK_REALTIME) + int.from_bytes(ahead[:8], "little")


class _AnyDatetime(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime.date) and hasattr(instance, "hour")


class Datetime(datetime.datetime, metaclass=_AnyDatetime):
    """For `datetime.datetime`."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "Datetime":
        """By product time."""
        return cls.fromtimestamp(time.time(), tz)


time.time_ns = time_ns
time.time = lambda: time_ns() / 1e9
if "AWS_LAMBDA_FUNCTION_NAME" not in os.environ:  # the functions use `time` alone, and pydantic knows one datetime
    datetime.datetime = Datetime  # type: ignore[misc]  # mypy takes classes for constants
