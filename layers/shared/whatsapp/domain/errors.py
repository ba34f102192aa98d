"""What can go wrong, in our own stable words. The caller branches on `code`; `twilio_code` stands beside it."""

_HTTP_STATUS = {
    "opted_out": 403,
    "not_found": 404,
    "idempotency_conflict": 409,
    "too_late_to_cancel": 409,
    "rate_limited": 429,
    "account_problem": 503,
    "internal_error": 500,
}


class MessagingError(Exception):
    """A request that cannot be served, told so that its reader can mend it.

    `detail` says what was wrong, where, and what to do. It never holds a phone number, a name or a message's text.
    """

    def __init__(self, code: str, detail: str, *, retryable: bool = False, twilio_code: int | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.retryable = retryable
        self.twilio_code = twilio_code

    @property
    def http_status(self) -> int:
        """The status of the HTTP answer: 400 for all that the caller can mend in the request itself."""
        return _HTTP_STATUS.get(self.code, 400)
