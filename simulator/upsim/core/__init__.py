"""The functional core: facts, prices, jobs, ledger, checks; no I/O, clock or randomness."""
