"""Documented behaviour of each emulated provider, as checks of any API over HTTP."""
