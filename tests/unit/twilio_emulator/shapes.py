"""The shapes of Twilio's answers as its published OpenAPI describes them, written down as JSON Schemas of our own.

Stricter than the original in one way: there every field may be null, here only those that Twilio leaves empty.
"""

from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

Schema = dict[str, Any]

RFC_2822 = r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} \+0000$"
ISO_8601 = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$"
TEXT: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
INTEGER: Schema = {"type": "integer"}
OBJECT: Schema = {"type": "object"}


def sid(*prefixes: str) -> Schema:
    return {"type": "string", "pattern": f"^({'|'.join(prefixes)})[0-9a-fA-F]{{32}}$"}


def matching(pattern: str) -> Schema:
    return {"type": "string", "pattern": pattern}


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def exactly(**fields: Schema) -> Schema:
    """An object with these fields, all of them, and no others."""
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


MESSAGE = exactly(
    account_sid=sid("AC"),
    api_version={"const": "2010-04-01"},
    body=TEXT,
    date_created=matching(RFC_2822),
    date_sent=nullable(matching(RFC_2822)),
    date_updated=matching(RFC_2822),
    direction={"enum": ["inbound", "outbound-api", "outbound-call", "outbound-reply"]},
    error_code={"type": ["integer", "null"]},
    error_message=TEXT_OR_NULL,
    **{"from": TEXT_OR_NULL},
    messaging_service_sid=nullable(sid("MG")),
    num_media=matching(r"^\d+$"),
    num_segments=matching(r"^\d+$"),
    price=TEXT_OR_NULL,
    price_unit=TEXT_OR_NULL,
    sid=sid("SM", "MM"),
    status={
        "enum": [
            "queued",
            "sending",
            "sent",
            "failed",
            "delivered",
            "undelivered",
            "receiving",
            "received",
            "accepted",
            "scheduled",
            "read",
            "canceled",
        ]
    },
    subresource_uris=exactly(media=matching(r"^/2010-04-01/Accounts/.*/Media\.json$")),
    to=TEXT,
    uri=matching(r"^/2010-04-01/Accounts/AC.*/Messages/(SM|MM).*\.json$"),
)

MEDIUM = exactly(
    account_sid=sid("AC"),
    content_type=TEXT,
    date_created=matching(RFC_2822),
    date_updated=matching(RFC_2822),
    parent_sid=sid("SM", "MM"),
    sid=sid("ME"),
    uri=matching(r"^/2010-04-01/Accounts/AC.*/Media/ME.*\.json$"),
)


def page_2010(key: str, item: Schema) -> Schema:
    uri, uri_or_null = matching(r"^/2010-04-01/.*PageSize="), nullable(matching(r"^/2010-04-01/.*PageToken="))
    return exactly(
        **{key: array(item)},
        first_page_uri=uri,
        next_page_uri=uri_or_null,
        previous_page_uri=uri_or_null,
        uri=uri,
        page=INTEGER,
        page_size=INTEGER,
        start=INTEGER,
        end=INTEGER,
    )


CONTENT_FIELDS: dict[str, Schema] = {
    "sid": sid("HX"),
    "account_sid": sid("AC"),
    "friendly_name": TEXT,
    "language": TEXT,
    "variables": {"type": "object", "additionalProperties": TEXT},
    "types": OBJECT,
    "date_created": matching(ISO_8601),
    "date_updated": matching(ISO_8601),
}
CONTENT = exactly(
    **CONTENT_FIELDS,
    url=matching(r"^https://content\.twilio\.com/v1/Content/HX"),
    links=exactly(
        approval_create=matching(r"^https://content\.twilio\.com/v1/Content/HX\w+/ApprovalRequests/whatsapp$"),
        approval_fetch=matching(r"^https://content\.twilio\.com/v1/Content/HX\w+/ApprovalRequests$"),
    ),
)
APPROVAL_FIELDS: dict[str, Schema] = {
    "name": TEXT,
    "category": {"enum": ["", "UTILITY", "MARKETING", "AUTHENTICATION"]},
    "content_type": TEXT,
    "status": {
        "enum": ["unsubmitted", "received", "pending", "approved", "rejected", "paused", "disabled"],
    },
    "rejection_reason": TEXT,
    "allow_category_change": {"type": "boolean"},
}
APPROVAL = exactly(**APPROVAL_FIELDS)
APPROVAL_FETCHED = exactly(
    sid=sid("HX"),
    account_sid=sid("AC"),
    whatsapp=exactly(type={"const": "whatsapp"}, **APPROVAL_FIELDS),
    url=matching(r"^https://content\.twilio\.com/v1/Content/HX\w+/ApprovalRequests$"),
)
CONTENT_AND_APPROVAL = exactly(**CONTENT_FIELDS, approval_requests=APPROVAL)
CONTENT_AND_NESTED_APPROVAL = exactly(
    **CONTENT_FIELDS,
    approval_requests=exactly(whatsapp=exactly(type={"const": "whatsapp"}, **APPROVAL_FIELDS)),
)


def page_meta(key: str, item: Schema) -> Schema:
    url = matching(r"^https://\w+\.twilio\.com/v[12]/.*PageSize=")
    return exactly(
        **{key: array(item)},
        meta=exactly(
            page=INTEGER,
            page_size=INTEGER,
            first_page_url=url,
            previous_page_url=nullable(url),
            url=url,
            next_page_url=nullable(url),
            key={"const": key},
        ),
    )


ACCOUNT = exactly(
    sid=sid("AC"),
    owner_account_sid=sid("AC"),
    friendly_name=TEXT,
    status={"enum": ["active", "suspended", "closed"]},
    type={"enum": ["Trial", "Full"]},
    auth_token=TEXT,
    date_created=matching(RFC_2822),
    date_updated=matching(RFC_2822),
    uri=matching(r"^/2010-04-01/Accounts/AC\w+\.json$"),
    subresource_uris=OBJECT,
)

SENDER = exactly(
    sid=sid("XE"),
    status={"enum": ["CREATING", "ONLINE", "OFFLINE", "PENDING_VERIFICATION", "VERIFYING"]},
    sender_id=matching(r"^whatsapp:\+\d+$"),
    configuration=OBJECT,
    webhook=exactly(
        callback_url=TEXT_OR_NULL,
        callback_method={"enum": ["POST", "PUT", None]},
        fallback_url=TEXT_OR_NULL,
        fallback_method={"enum": ["POST", "PUT", None]},
        status_callback_url=TEXT_OR_NULL,
        status_callback_method=TEXT_OR_NULL,
    ),
    profile=OBJECT,
    properties=exactly(quality_rating=TEXT_OR_NULL, messaging_limit=TEXT_OR_NULL),
    offline_reasons=nullable(array(exactly(code=TEXT, message=TEXT, more_info=TEXT))),
    compliance={"type": "null"},
    url=matching(r"^https://messaging\.twilio\.com/v2/Channels/Senders/XE"),
)

ERROR = exactly(
    code=INTEGER,
    message=TEXT,
    more_info=matching(r"^https://www\.twilio\.com/docs/errors/\d+$"),
    status=INTEGER,
)


def check(value: object, schema: Schema) -> None:
    """Fail with every difference between an answer and its shape."""
    errors = [
        f"{error.json_path}: {error.message}"
        for error in Draft202012Validator(schema, format_checker=FormatChecker()).iter_errors(value)
    ]
    assert not errors, "\n".join(errors)
