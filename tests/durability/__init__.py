"""Servers with a durable store, killed under load: what responses said must hold."""
