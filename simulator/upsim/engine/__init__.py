"""The only mutable state: sandboxes, their clocks, seeds, event logs and journals."""
