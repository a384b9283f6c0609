"""Calls to the providers' own hosts, made by code that knows nothing of this, reach a sandbox."""
