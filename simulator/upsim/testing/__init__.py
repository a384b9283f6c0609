"""The simulator inside a test process: one server for all tests, a sandbox for each test."""
