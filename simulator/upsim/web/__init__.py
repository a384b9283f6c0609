"""The ASGI side: provider paths on the hot path, media, admin API and pages."""
