"""WaveSpeedAI's documents on its two video upscalers, as facts."""
