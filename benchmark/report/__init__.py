"""The report: records -> frame (``cells.csv``) -> statistics -> tables, figures, page. It never trains."""
