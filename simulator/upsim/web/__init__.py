"""The ASGI side: the fast path for provider requests, media, admin API and pages."""
