"""What PiAPI documents of its video upscaling."""
