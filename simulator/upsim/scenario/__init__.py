"""Scenario files: read with positions, resolved, validated, and turned into frozen values."""
