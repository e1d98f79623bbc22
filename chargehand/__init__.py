"""The command line of Chargehand."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - pip checks it, but a checkout can run without pip
    sys.exit("chargehand needs Python 3.11 or newer; this is {}.{}".format(*sys.version_info[:2]))
