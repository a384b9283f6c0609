"""Documented behaviour of each emulated provider, as checks against any HTTP API."""
