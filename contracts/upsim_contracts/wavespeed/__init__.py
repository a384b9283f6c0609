"""What WaveSpeedAI documents of its two video upscalers."""
