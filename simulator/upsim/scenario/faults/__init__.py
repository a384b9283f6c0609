"""Faults in scenarios and in the admin API: validated, then turned into rules.

`rules` handles a whole fault. Its parts are:
`selection` matches requests, `actions` defines the effects, `answers` replaces responses,
and `vocabulary` has the names that exist for a provider.
"""
