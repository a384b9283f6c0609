"""Scenario files: read with their positions, resolved, judged, and made into frozen values."""
