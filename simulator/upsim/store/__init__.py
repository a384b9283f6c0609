"""Stores that keep the sandboxes of a server beyond its end."""
