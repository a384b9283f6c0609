"""`upsim verify`: check a target against every documented fact of a provider."""
