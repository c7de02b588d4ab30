"""Requests for what is missed inside: kept and decided on the high side, met by the low side."""
