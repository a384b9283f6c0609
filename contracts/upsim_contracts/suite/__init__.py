"""Runs a contract against a target."""
