"""Simulators that are wrong on purpose: each must be killed by the fact or test that it names.

`python -m upsim_contracts.mutants` runs them all. A survivor is a missing test.
"""
