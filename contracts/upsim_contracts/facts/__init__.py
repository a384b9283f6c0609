"""Each provider's documented facts as data, and how a fact is checked against a target."""
