"""WhatsApp messaging for an appointment service: what things are, what we do, and the outside."""
