"""Every measured number in README and docs/ is recomputed from results/*/cells.csv: how, and how to keep it so.

python -m tests.claims          # what is not as the committed cells say (exit code 1)
python -m tests.claims write    # puts the recomputed numbers and tables into the pages

1. After results were run again: `write`, then `git diff`, then pytest tests/test_claims.py.
2. `write` changes numbers, verdict phrases and the tables between <!-- NAME:begin --> and <!-- NAME:end -->.
3. Words stay as they are: read each changed sentence. A `holds` claim that fails is a sentence to write again by hand.
4. A new sentence with a number: Claim("words {:.3f} words", lambda: [mean("quick", "ae", "mnist")]) in CLAIMS of
   registry.py, under its page; the text may be wrapped in the page in any way.
5. A sentence that compares two models: Claim("AE and VAE are {}", lambda: [verdict("quick", "ae", "vae", "mnist")]),
   which says "separated, `vae` ahead (Wilcoxon ...)" or "not separated (...)" and so cannot say the opposite. In the
   page type any such phrase at its place, for example "not separated (Wilcoxon)"; `write` puts in the computed one.
6. A sentence without numbers: Claim("PCA is ahead on Sandal", holds=lambda: ...).
7. A claim of cells that are still to be run stands in AWAITED (exceptions.py); it is compared once they are.
8. A number that no cell has (a setting, a definition, a paper's): EXCEPTIONS (there), with the reason; " ... " skips.
9. A sentence that is gone from its page: delete its claim or exception; the test says which.
10. A new table made from cells: a function in BLOCKS or WHOLE (tables.py) and the two markers.
11. "Where it fails" of a model's page: its claims stand in failures.py. What a sentence sees in a picture is no claim:
    when results/family is run again, look at the pictures and read these sentences.
"""
