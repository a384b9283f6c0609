"""Group the findings of a run by what the provider changed, each with one sentence."""
