"""What a run saw, grouped by what the provider changed, each with one sentence."""
