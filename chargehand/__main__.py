"""python -m chargehand: the same as the command chargehand."""

from chargehand.cli import main

main()
