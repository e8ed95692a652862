"""Training: from a split to a run record."""
