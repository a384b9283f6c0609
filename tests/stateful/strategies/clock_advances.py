"""How far a clock is moved: within a job, past its end, past a window, past what is kept."""

from hypothesis import strategies as st

HOUR, DAY = 3600, 86_400

advances = st.one_of(
    st.just({"to": "next"}),
    st.integers(0, 90).map(lambda seconds: {"seconds": seconds}),
    st.sampled_from(["0.000001", "1.5", "59.999999"]).map(lambda seconds: {"seconds": seconds}),
    st.just({"to": "idle"}),
    st.sampled_from([HOUR, DAY + 1, 8 * DAY]).map(lambda seconds: {"seconds": seconds}),
)
