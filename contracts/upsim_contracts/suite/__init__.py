"""Run a contract against a target."""
