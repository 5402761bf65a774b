"""Figures of a report, drawn from what the store has."""
