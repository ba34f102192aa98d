"""The phone page: the patient's WhatsApp beside what happens inside the stack. `server.serving` starts it."""
