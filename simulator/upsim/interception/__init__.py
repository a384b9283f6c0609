"""Redirect requests for the providers' own hosts, from unmodified code, to a sandbox."""
