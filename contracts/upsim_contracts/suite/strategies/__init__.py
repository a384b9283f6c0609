"""What Hypothesis makes for properties and machines, one module for each concept."""
