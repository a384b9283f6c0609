"""Balances for an account: nothing, a little, plenty."""

from hypothesis import strategies as st

balances = st.sampled_from(["0", "0.01", "0.06", "1", "35", "64.5", "180000", "1000000000"])
