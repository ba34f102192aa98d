"""The logger and the metrics. Neither ever contains a phone number, a name or a message's text."""

import json
import logging
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

STACK_METRICS = {
    "MessagesSent": "Twilio accepted a message",
    "MessagesArrived": "a message reached the phone: delivered or read, whichever came first",
    "MessagesRead": "a patient opened a message",
    "TemplatesArrived": "a template reached the phone: Meta bills these",
    "TimeToDelivery": "milliseconds from Twilio's acceptance to the phone",
    "ProactiveSent": "Twilio accepted a proactive message; by template and language",
    "ProactiveAnswered": "the patient wrote within 24 hours of a proactive message; by its template and language",
    "RateLimitViolations": "two proactive acceptances for one contact were closer than the rate limit: must stay 0",
    "DuplicatesAbsorbed": "a request, a message or a callback came again and changed nothing",
    "DeliveryPercent": "hourly: of the messages accepted in a day, how many arrived",
    "ReplyPercent": "hourly: of the proactive messages accepted in a day, how many were answered within 24 hours",
    "WebhookTime": "milliseconds from Twilio's request at the gateway to its answer; from the access log",
}
"""The mission's numbers, of the whole stack (docs/metrics.md)."""
FUNCTION_METRICS = {
    "MessagesFailed": "Twilio reported a posted message as failed or undelivered",
    "MessagesInDoubt": "a POST had no clear answer",
    "MessagesReceived": "a patient wrote",
    "ReconcileBehind": "the last complete reconcile with Twilio's list is over half an hour old",
    "MessagesBackfilled": "inbound messages whose webhook never arrived, found in Twilio's list",
    "MediaStored": "patients' files that were stored in the bucket",
    "MediaWaiting": "patients' files that Twilio did not deliver this time; each is tried again every five minutes",
    "MediaFailed": "patients' files that could not be stored",
    "RepliesPerContactHigh": "a contact got 20 replies or more within an hour: two bots may be talking to each other",
    "BadSignatures": "a webhook with our AccountSid was refused, mostly for its signature: is the auth token current?",
    "UnmatchedCallbacks": "a status callback belongs to no attempt of ours",
    "PublishFailed": "the bus did not take an event; a sweep publishes it",
    "NotTold": "the bus, the topic or the dead-letter queue did not take a message's outbox; a sweep delivers it",
    "TwilioDown": "the third POST in a row or a later one without an answer of Twilio's, or a message that waits",
    "SendingHeld": "1 at each sweep while all sending is held, else 0",
    "SenderThrottled": "1 at each sweep while a limit of Twilio's or Meta's binds our sender, else 0",
    "DueStale": "due items that the sweep found over ten minutes late",
    "TemplateSyncFailed": "calls to Twilio that failed in a template sync, or had no clear answer",
    "TemplatesUnusable": "templates of the catalog without an approved version",
}
"""Of one function."""
METRICS = STACK_METRICS | FUNCTION_METRICS
_UNITS = {
    "TimeToDelivery": MetricUnit.Milliseconds,
    "DeliveryPercent": MetricUnit.Percent,
    "ReplyPercent": MetricUnit.Percent,
}

# An invocation that counts nothing is normal, and its warning would fill the log.
warnings.filterwarnings("ignore", "No application metrics to publish*")

# They log requests and URLs with numbers and texts, whatever level our own logger has.
for library in ("aws_lambda_powertools", "boto3", "botocore", "requests", "s3transfer", "twilio", "urllib3"):
    logging.getLogger(library).setLevel(logging.WARNING)

logger = Logger()
metrics = Metrics()


@dataclass(frozen=True)
class PowertoolsMetrics:
    """The `Metrics` port, as CloudWatch's embedded metric format.

    `stack`: the name under which the whole stack's numbers are counted, whichever function counts them.
    """

    stack: str

    def count(self, name: str, value: int = 1) -> None:
        """Add to a metric of this function.

        Raises:
            KeyError: not in `FUNCTION_METRICS`.
        """
        FUNCTION_METRICS[name]
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)

    def count_at(self, at: int, values: Mapping[str, float], **dimensions: str) -> None:
        """Count for the whole stack, at a time (epoch ms) that may be gone by; with dimensions, for those too.

        CloudWatch takes times of the last two weeks ("PutMetricData", its API reference): older ones count nowhere.

        Raises:
            KeyError: not in `STACK_METRICS`.
        """
        for name in values:
            STACK_METRICS[name]
        log_line(self.stack, at, values, dimensions)


def log_line(service: str, at: int, values: Mapping[str, float], dimensions: Mapping[str, str]) -> None:
    """Log a line of its own, since each line has one time (epoch ms): values of a service, and by these dimensions.

    It is one write. Powertools' own `print` makes two: another thread's may come between, and both lines are lost then.
    """
    line = EphemeralMetrics(service=service)
    for name, value in values.items():
        line.add_metric(name=name, unit=_UNITS.get(name, MetricUnit.Count), value=value)
    line.add_dimension(name="service", value=service)
    if dimensions:
        line.add_dimensions(**dimensions, service=service)
    line.set_timestamp(at)
    sys.stdout.write(json.dumps(line.serialize_metric_set(), separators=(",", ":")) + "\n")
