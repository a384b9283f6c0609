"""The admin API below `/__sim`."""
