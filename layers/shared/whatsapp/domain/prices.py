"""What Twilio and Meta charge for a message: list prices of November 2026, without taxes (docs/scale.md)."""

TWILIO_USD = 0.005
"""A message, in either direction."""
META_UTILITY_INR = 0.115
"""A delivered utility template, in India. Meta takes nothing for one inside the customer-service window."""
