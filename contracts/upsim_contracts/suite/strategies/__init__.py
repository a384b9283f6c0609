"""Hypothesis strategies for properties and machines, one module for each concept."""
