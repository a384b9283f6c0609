"""Documented behaviour of PiAPI's video upscaling, as data for the checks."""
