"""From what is typed to finished cells: compose, check, lay out, run, say."""
