"""upsim: a simulator of the video-upscaling APIs of four companies."""
