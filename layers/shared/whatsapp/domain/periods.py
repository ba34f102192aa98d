"""Every period of the product, once, each with its reason. Milliseconds, unless the name ends in `_S` or `_DAYS`.

Sending a message never twice rests on how some of these compare. `tests/unit/test_periods.py` states each comparison,
against each other and against `template.yaml`.
"""

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

# --- what others take ------------------------------------------------------------------------------------------------

TWILIO_CONNECT_S = 3.0
TWILIO_READ_S = 10.0
"""The SDK itself waits without end (measured on 9.13.0)."""
TWILIO_CALL = int((TWILIO_CONNECT_S + TWILIO_READ_S) * SECOND)
"""The longest that one call of Twilio's API takes."""
CONNECTION_KEPT = 4 * SECOND
"""A connection to Twilio is used again for this long: servers commonly close an idle one after 5 s (Apache) or
more, and a POST that meets the close is in doubt."""
TWILIO_ACCEPTS_WITHIN = 10 * MINUTE
"""A POST that timed out here may still be accepted this long after it."""
TWILIO_LIST_LAG = 15 * MINUTE
"""How late Twilio's list may show a message (twilio-java#442)."""
WEBHOOK_RETRIES = 15 * SECOND
"""Twilio retries a webhook for this long in all (its connection overrides, `tt`)."""
WORDS_UNORDERED = 15 * MINUTE
"""A STOP and a START that came within this time may have been written in the other order: webhooks come late."""
AWS_CONNECT_S = 3.0
AWS_READ_S = 8.0
"""botocore waits 60 s by default, which is longer than the send function lives."""
AWS_CLOCK_BELIEVED_S = 240.0
"""AWS refuses a signature that is five minutes off. If the clock is off by less than this, the cause was another."""
CALLERS_CLOCK_ERROR = 5 * MINUTE
"""How far the clock of a caller may be off: AWS refuses a signature that is further off."""
CLOCK_ERROR = 2 * SECOND
"""How far a sandbox's corrected clock may be off."""
GROUP_CANCEL_WAITS_S = 2 * CLOCK_ERROR / SECOND
"""A cancel of a group is dated `CLOCK_ERROR` ahead, to cover what was queued before it by SQS's clock. It is answered
when that moment has passed by every clock."""
SQS_LONGEST_DELAY_S = 900
SQS_LONGEST_VISIBILITY_S = 43_200

# --- WhatsApp --------------------------------------------------------------------------------------------------------

WINDOW = 24 * HOUR
"""The customer-service window: free-form text may go out this long after each inbound message."""

# --- the claim -------------------------------------------------------------------------------------------------------

POST_NEEDS = TWILIO_CALL + 2 * SECOND
"""A claim or a POST is not started with less of the invocation left: the call, and storing its outcome."""
FRESH_CONTACT = 2 * SECOND
"""How old the last reading of the contact may be when the POST starts. It bounds how late an opt-out is seen."""
LEASE_MARGIN = 5 * SECOND
"""A claim is taken back this long after its lease: Lambda kills late (0.7 s), and clocks differ."""
SLOT_GUARD = 15 * MINUTE
"""Added to the rate limit while a message is in flight: the lease and Twilio's latest acceptance fit in."""
SLOT_EPSILON = 4 * SECOND
"""Added to the rate limit after acceptance: two clocks may each be off by `CLOCK_ERROR`."""
LATEST_ACCEPTANCE = SLOT_GUARD - 10 * SECOND
"""After the claim: where only a callback or the list shows an acceptance, it was no later than this."""
REPLY_WAITS_S = 2
"""How long a reply waits for another reply in flight before it is deferred."""
REPLY_DEFERRED = 15 * SECOND

# --- doubt -----------------------------------------------------------------------------------------------------------

LIST_FROM = MINUTE
"""Before the claim: Twilio's clock and ours differ."""
LIST_UNTIL = 12 * MINUTE
"""After the claim: a message that Twilio's list dates later is not ours."""
RECONCILE_DOUBT = 25 * MINUTE
"""After the claim: first look into Twilio's list. Callbacks may settle the doubt before."""
RECONCILE_AGAIN = 10 * MINUTE
DOUBT_HORIZON = 70 * MINUTE
"""After the claim: without evidence by then, the doubt is final."""
DOUBT_ENDS = 3 * HOUR
"""After the claim: the doubt is final even if Twilio's list has not answered. Until then the slot stays held."""
RESEND = 76 * MINUTE
"""After the claim: an unresolved message whose caller asked for it is sent again as a new record."""
TURN_MOVES = MINUTE
"""A turn that moves by no more is not published anew: the sweep comes once a minute."""
LONGEST_DEFERRAL = 35 * DAY
"""How long before its claim a message may have been created."""

# --- retries ---------------------------------------------------------------------------------------------------------

RETRY_PAUSE = (5 * SECOND, 10 * SECOND)
"""Before the second attempt: a random time between these. Three times as long before the third."""
FIRST_WAIT_PAUSE = (3 * SECOND, 6 * SECOND)
"""A temporary failure (no connection, 429, a refused account) waits for a random time between these at first, then for
half as long as it has lasted to as long."""
THROTTLE_PAUSE = (3 * SECOND, 15 * MINUTE)
"""While a limit binds our sender, one message tries after the first of these, then after growing pauses up to the
second. The first is no longer than `FIRST_WAIT_PAUSE`: the message that was refused comes back as the first probe. A
limit of a day ends within minutes for each message that leaves its 24 hours."""
THROTTLE_GROWS = 4
"""How many times as long each pause is as the one before."""
THROTTLE_PROVED = MINUTE
"""Meta's limit is told by callback. It is over if no callback has told it so long after a probe was accepted."""
ASK_AGAIN = MINUTE
"""While Twilio does not answer, one worker in this time asks whether it does again."""
IDS_REFUSED = DAY
"""After Twilio refused a WhatsApp id as `To`, none is posted for so long; then the next message tries again. A try is
harmless, and Twilio may come to take them."""
PAUSED_LOOK = (MINUTE, 5 * MINUTE)
"""While all sending is paused, a message looks again after a random time between these."""
LONGEST_WAIT_PAUSE = 5 * MINUTE
"""So soon after an outage everything has gone out."""
WAITS_FOR = 4 * HOUR
"""A message that has only ever waited fails after this long: Twilio's own queue holds a message no longer."""
TEMPLATE_LOOK = 15 * MINUTE
"""A message that waits for its template looks again after this long: the sync asks about approvals as often."""
WAITS_FOR_TEMPLATE = DAY
"""A message without `expires_at` waits for its template's approval so long. Meta pauses one for up to six hours."""
SELF_NUDGE_S = 60
"""A waiting message nudges itself only for pauses shorter than this; after longer ones the sweep finds it. Lambda
ends a chain of invocations through the function's own queue after 16 (recursive loop detection)."""
OUTBOX_RETRY = MINUTE
"""An outbox entry that its worker has not delivered by then, the sweep delivers."""

ALERT_WINDOW = HOUR
"""People are alerted about one cause at once, and then at most this often."""

# --- the mission's numbers -------------------------------------------------------------------------------------------

ARRIVES_WITHIN = HOUR
"""Before that, a message may be on its way to a phone that is on: it says nothing about delivery."""
ANSWERS_COUNTED_WITHIN = WINDOW + 2 * HOUR
"""A patient has the window's time to answer; CloudWatch shows what is counted for a time so long gone by within two
hours ("PutMetricData", its API reference)."""

# --- the sweeps ------------------------------------------------------------------------------------------------------

SWEEP_EVERY = MINUTE
POSTPONED = 2 * MINUTE
"""How far a sweep moves an item before it acts on it: the next sweep leaves it alone."""
URGENT = HOUR
"""A message that expires this soon after it is due is swept first. 280 000 messages go in an hour, at 80/s."""
STALE = 10 * MINUTE
"""Messages that have been due for longer are counted: the sweep does not keep up."""
SWEEP_NEEDS = 5 * SECOND
"""A sweep starts nothing with less of the invocation left."""
TWILIO_QUESTION = TWILIO_CALL + 2 * SECOND
"""The same, where the item means one call of Twilio's API."""
CONTENT_LOOK = MINUTE
"""A reply whose choices' content could not be made at Twilio tries again after this long: the patient is waiting."""
PENDING_FOR = 5 * SECOND
"""A new message that this invocation has no time for is looked at after this long."""
ASK_STATUS = (HOUR, 12 * HOUR, 24 * HOUR)
"""After acceptance: a message that is still `sent` is asked about."""
ASK_STATUS_UNTIL = 48 * HOUR
"""Without an answer of Twilio's, it is asked about each hour until then."""
RECONCILE_AFTER = 2 * MINUTE
"""An inbound message is missing if its webhook has not come by then."""
RECONCILE_OVERLAP = TWILIO_LIST_LAG
"""Each look at the list of inbound messages starts this long before the end of the last complete one."""
RECONCILE_STEP = DAY
"""After an outage, one look goes no further than this, so that the next goes on from there."""
RECONCILE_DEEP = 6 * HOUR
"""This often a look goes as far back: the list may lag for hours (twilio-node#647)."""
RECONCILE_LOOK_BACK = 30 * DAY
"""Less than the least retention: an item that was deleted for its age would look as if it never came."""
RECONCILE_BEHIND = 30 * MINUTE
RECOVERY_RECONCILES = 30 * MINUTE
"""How long the recovery after a restore stores what is missing in one go. It runs where no Lambda ends it."""
USERS_REMEMBERED = 7 * DAY
"""After its message a patient of a household may be the one who writes: most answer within a day, and an appointment
that was confirmed may be called off days later."""
TAPPED_REPLY = 7 * DAY
"""A quick reply older than this is not the one that was tapped: Twilio names no older ones either."""

# --- contacts --------------------------------------------------------------------------------------------------------

NOT_ON_WHATSAPP = 7 * DAY
"""For so long nothing is sent to an address that was not on WhatsApp. People register, and networks come back."""

# --- media -----------------------------------------------------------------------------------------------------------

MEDIUM_RETRIES_S = (1.0, 3.0)
"""Twilio answers 404 for a medium that is only just arriving."""
MEDIUM_FETCH = 40 * SECOND
"""The longest fetch: two hosts (36 s, as `TwilioMedia` bounds them) and the bucket."""
MEDIA_FIRST_SWEEP = 4 * MINUTE
"""Media still pending after this long: the bus's rule may have failed."""
MEDIA_AGAIN = 5 * MINUTE
MEDIA_GIVE_UP = 24 * HOUR
MEDIUM_LINK_S = 900
"""How long a link to a medium works."""

EXPORT_NEEDS = 10 * SECOND
"""An export begins no further page with less of the invocation left: a hundred messages, then the dead letters."""

# --- erasure ---------------------------------------------------------------------------------------------------------

SEND_QUEUE_KEEPS = 4 * DAY
"""How long a request can lie in the send queue, and after that become a dead letter."""
ERASURE_PASSES = (15 * MINUTE, 120 * MINUTE, DAY, SEND_QUEUE_KEEPS + HOUR)
"""After the request: indexes lag, a message may be in flight, and a request in the queue may become a dead letter."""
ERASURE_OVERTAKES = MINUTE
"""A worker that read the contact before the erasure may store a message so long after it."""
ERASURE_AGAIN = 120 * MINUTE
ERASURE_POSTPONED = 5 * MINUTE
DEAD_LETTER_HIDDEN_S = 20
"""While an erasure reads the dead letters, others do not see them."""
LATEST_CALLBACK = 48 * HOUR
"""An unresolved message without a callback by then was never sent."""

# --- templates -------------------------------------------------------------------------------------------------------

SYNC_LEASE = 150 * SECOND
"""Longer than the sync function lives."""
OLD_WORDING_KEPT = 7 * DAY
"""An old wording stays at Twilio this long after a newer one serves: deferred messages may name it."""
REPORT_STANDS = HOUR
"""A status that a send reported stands this long against what Twilio's list says."""

JUST_PASSED = HOUR
"""A time without its day that passed within this is a late caller's, such as a queue's backlog, not the next day's."""

# --- conversations and records ---------------------------------------------------------------------------------------

AGENT_REMEMBERED = 72 * HOUR
"""The agent of the latest outbound message answers replies for this long."""
SEND_AT_MOST_AHEAD = 30 * DAY
ANSWER_BY_MOST_AHEAD = 31 * DAY
RETENTION_LEAST_DAYS = 35
"""A redelivered request must still find its record."""

# --- credentials and callers -----------------------------------------------------------------------------------------

INIT_WAITS_S = 5.0
"""How long a new sandbox waits for its parts before the first request. Lambda ends an INIT after ten seconds."""
SECRET_KEPT_S = 900.0
SECRET_REFRESH_S = 30.0
"""A refused signature or login reads the secret again at most this often."""
