"""Videos: generate, measure, fetch, store and resample.

No other package of upsim imports PyAV.
"""
