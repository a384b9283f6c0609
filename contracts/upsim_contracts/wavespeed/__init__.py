"""Documented behaviour of WaveSpeedAI's two video upscalers, as data for the checks."""
