"""What Venice documents of its video upscaling."""
