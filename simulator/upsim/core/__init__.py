"""The pure part: facts, prices, jobs, ledger, checks. No I/O, no clock, no randomness."""
