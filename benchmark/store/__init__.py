"""Everything below ``output_dir``: written whole, read back, and who holds it."""
