"""`python -m simulator.host`, with room for more chargers than a host may have: python -m bench.support.big_host."""

import sys

from simulator.host import settings
from simulator.host.__main__ import main

#: The most that one process was ever measured with.
MAX_CAPACITY = 10_000

if __name__ == "__main__":
    settings.MAX_CAPACITY = MAX_CAPACITY
    sys.exit(main())
