"""The simulator inside a test process: a world for all tests, a sandbox for each."""
