"""A detector to take home: trained on anybody's images or loaded from a cell, it scores images that no split holds."""
