"""`python -m simulator.host` runs the chargers that the control link gives it, until SIGTERM or SIGINT."""

import asyncio
import logging
import os
import signal
import sys

from simulator.host.host import Host
from simulator.host.writer import Writer
from simulator.log import STDOUT, EventLog, RemarkHandler
from simulator.settings import BadSettings

EXIT_BAD_SETTINGS = 2

SIGNALS = (signal.SIGTERM, signal.SIGINT)

#: For the lines that wait at the end.
FLUSH_S = 2.0


def main() -> int:
    writer = Writer(STDOUT)
    log = EventLog(writer.write)
    try:
        asyncio.run(_run(log, writer))
    except BadSettings as error:
        log.remark("error", str(error))
        return EXIT_BAD_SETTINGS
    finally:
        writer.close(FLUSH_S)
    return 0


async def _run(log: EventLog, writer: Writer) -> None:
    loop = asyncio.get_running_loop()
    logging.getLogger().addHandler(RemarkHandler(log))
    host = Host(os.environ, log, writer)
    writer.on_closed = lambda: loop.call_soon_threadsafe(host.stop)
    for signal_number in SIGNALS:
        loop.add_signal_handler(signal_number, host.stop)
    try:
        await host.run()
    finally:
        for signal_number in SIGNALS:  # a second one must not end Python with another code while it exits
            loop.remove_signal_handler(signal_number)
            signal.signal(signal_number, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
