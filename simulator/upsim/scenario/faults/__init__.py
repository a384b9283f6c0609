"""Faults as scenarios and the admin API write them: judged, then made into rules.

`rules` takes a fault as a whole. Its parts: `selection` is which calls it is for, `actions` what
it does, `answers` what is answered instead; `vocabulary` is what a provider has to speak of.
"""
