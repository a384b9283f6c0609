"""Faults in scenarios and in the admin API: validated, then turned into rules.

`rules` handles a whole fault. Its parts: `selection` matches requests, `actions` says what happens,
`answers` replaces responses; `vocabulary` holds the names that a provider knows.
"""
