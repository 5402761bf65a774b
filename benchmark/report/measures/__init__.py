"""Numbers that both a table and a figure show: ranks, costs, settings that were swept."""
