"""Simulators with a planted mistake; the named fact or test must fail for each.

`python -m upsim_contracts.mutants` runs them all. A survivor is a missing test.
"""
