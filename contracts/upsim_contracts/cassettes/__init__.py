"""Cassettes: recorded requests and responses, without secrets and without videos."""
