"""The logger and the metrics. Neither ever contains a phone number, a name or a message's text."""

import logging
import warnings

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

METRICS = {
    "MessagesSent": "Twilio accepted a message",
    "MessagesDelivered": "a message reached the phone",
    "MessagesRead": "a patient opened a message",
    "MessagesFailed": "Twilio reported a posted message as failed or undelivered",
    "MessagesInDoubt": "a POST had no clear answer",
    "MessagesReceived": "a patient wrote",
    "ReconcileBehind": "the last complete reconcile with Twilio's list is over half an hour old",
    "MessagesBackfilled": "inbound messages whose webhook never arrived, found in Twilio's list",
    "MediaStored": "patients' files that were stored in the bucket",
    "MediaWaiting": "patients' files that Twilio did not deliver this time; each is tried again every five minutes",
    "MediaFailed": "patients' files that could not be stored",
    "RateLimitViolations": "two proactive acceptances for one contact were closer than the rate limit: must stay 0",
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

# An invocation that counts nothing is normal, and its warning would fill the log.
warnings.filterwarnings("ignore", "No application metrics to publish*")

# They log requests and URLs with numbers and texts, whatever level our own logger has.
for library in ("aws_lambda_powertools", "boto3", "botocore", "requests", "s3transfer", "twilio", "urllib3"):
    logging.getLogger(library).setLevel(logging.WARNING)

logger = Logger()
metrics = Metrics()


class PowertoolsMetrics:
    """The `Metrics` port, as CloudWatch's embedded metric format."""

    def count(self, name: str, value: int = 1) -> None:
        """Add to a metric.

        Raises:
            KeyError: not in `METRICS`.
        """
        METRICS[name]
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
