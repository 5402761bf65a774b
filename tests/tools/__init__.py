"""Tools that run by hand: speed, endurance, known vulnerabilities."""
