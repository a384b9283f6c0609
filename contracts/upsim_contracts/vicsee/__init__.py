"""Documented behaviour of VicSee's video upscaling, as data for the checks."""
