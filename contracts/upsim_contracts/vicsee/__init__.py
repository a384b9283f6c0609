"""What VicSee documents of its video upscaling."""
