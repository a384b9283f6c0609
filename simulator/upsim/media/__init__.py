"""Videos: made, measured, fetched, stored and resampled. PyAV stays in here."""
