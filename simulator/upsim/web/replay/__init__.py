"""Run an exported sandbox again, and compare its responses."""
