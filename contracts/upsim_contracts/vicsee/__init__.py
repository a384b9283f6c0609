"""VicSee's documents on its video upscaling, as facts."""
