"""Running an exported sandbox again, and comparing its answers."""
