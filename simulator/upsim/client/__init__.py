"""The reference client: each provider's way of upscaling a video, behind one set of words.

An adapter (`providers/<name>/client.py`) says what to ask and how to read the answers; it does no
I/O itself. `session` carries the requests.
"""
