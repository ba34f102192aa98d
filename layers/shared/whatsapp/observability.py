"""Logs and metrics: made once, named once. Phone numbers, names and message texts never get here."""

import warnings

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

METRICS = {
    "MessagesSent": "Twilio accepted a message",
    "MessagesDelivered": "a message reached the phone",
    "MessagesRead": "a patient opened a message",
    "MessagesFailed": "Twilio says that a message failed after it had accepted it",
    "MessagesInDoubt": "a POST had no clear answer",
    "MessagesReceived": "a patient wrote",
    "ReconcileBehind": "the last complete look at Twilio's list is over half an hour old",
    "MessagesBackfilled": "inbound messages whose webhook never arrived, found in Twilio's list",
    "MediaStored": "files of patients that were brought into the bucket",
    "MediaWaiting": "files of patients that Twilio did not hand out this time; each is tried again every five minutes",
    "MediaFailed": "files of patients that could not be",
    "RateLimitViolations": "two proactive acceptances for one contact lie closer together than the limit: must stay 0",
    "RepliesPerContactHigh": "a contact got 20 replies or more within an hour: two bots may be talking to each other",
    "BadSignatures": "a webhook that bears our AccountSid was refused; mostly its signature: is the token current?",
    "UnmatchedCallbacks": "a status callback belongs to no attempt of ours",
    "PublishFailed": "the bus did not take an event; the sweep publishes it",
    "NotTold": "bus, topic or dead-letter queue did not take what a send had to tell; the sweep tries again",
    "DueStale": "waiting items that the sweep found over ten minutes late",
    "TemplateSyncFailed": "calls of Twilio that failed in a sync of the templates, or had no clear answer",
    "TemplatesUnusable": "templates of the catalog without an approved version",
}

# An invocation that counts nothing is no fault, and its warning would stand in every other log line.
warnings.filterwarnings("ignore", "No application metrics to publish*")

logger = Logger()
metrics = Metrics()


class PowertoolsMetrics:
    """The `Metrics` port, as CloudWatch's embedded metric format."""

    def count(self, name: str, value: int = 1) -> None:
        """Add to a metric.

        Raises:
            KeyError: no such metric: add it to `METRICS`, and to the docs.
        """
        METRICS[name]
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
