"""`make bench`: speed and memory against a bare application, measured in the same run."""
