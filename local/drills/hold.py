"""Someone holds all sending on a bad day, and releases it.

While it is held, requests by every door are accepted and stored, patients are heard, and nothing reaches Twilio. After
the release each message goes out once.
"""

from local.drills.drill import Drill

TITLE = "Drill: hold and release"
PARAMETERS = {"RateLimitSeconds": "5"}
_VARIABLES = {"patient_name": "Asha", "therapist_name": "Dr. Rao", "session_date": "2026-11-24"}
_TEMPLATE = {"template": "follow_up", "variables": _VARIABLES}
_PATIENTS = [f"+9198123450{n:02d}" for n in range(6)]


def play(drill: Drill) -> None:
    """Hold, send by two doors, hear a patient, release."""
    held = drill.api.request("PUT", "/hold")
    drill.say("on call", f"PUT /hold: {held.status_code} {held.text}")
    answers = [drill.send({"to": to, **_TEMPLATE, "idempotency_key": f"hold-{to}"}) for to in _PATIENTS[:3]]
    answers += [
        drill.api.request("POST", "/messages", {"to": to, **_TEMPLATE, "idempotency_key": f"hold-{to}"}).json()
        for to in _PATIENTS[3:]
    ]
    drill.say("orchestrator", f"six requests: {sorted({a['status'] + ', ' + a['error']['code'] for a in answers})}")
    drill.patient_writes(_PATIENTS[0], "Are you there?")
    drill.sweep()
    drill.check("Twilio got nothing", drill.sent() == [])
    released = drill.api.request("DELETE", "/hold")
    drill.say("on call", f"DELETE /hold: {released.status_code} {released.text}")

    def all_sent() -> bool:
        drill.sweep()
        return all(drill.message(a["message_id"])["status"] in ("sent", "delivered", "read") for a in answers)

    drill.wait("all six went out within six minutes", all_sent, seconds=400)
    drill.check("each once", sorted(m["to"].removeprefix("whatsapp:") for m in drill.sent()) == _PATIENTS)
