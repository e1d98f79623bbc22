"""Runs the command line: python -m chargehand."""

from chargehand.cli import main

main()
