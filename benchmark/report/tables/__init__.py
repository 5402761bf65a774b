"""Tables of a report, made from what the store has."""
