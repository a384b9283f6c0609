"""Documented behaviour of Venice's video upscaling, as data for the checks."""
