"""What rules are built from."""
