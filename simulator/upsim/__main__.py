"""`python -m upsim`."""

from upsim.cli import main

main()
