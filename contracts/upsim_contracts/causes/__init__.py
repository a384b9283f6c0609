"""Group the findings of a run by the provider's changes, each described by one sentence."""
