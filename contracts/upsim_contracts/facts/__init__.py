"""Each provider's documented facts as data, and how one is checked against a target."""
