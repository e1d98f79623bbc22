"""`python -m simulator` runs one charger, described by the environment, until SIGTERM or SIGINT."""

import asyncio
import logging
import os
import signal
import sys

from simulator.log import EventLog, RemarkHandler, write_to_stdout
from simulator.process import Process
from simulator.settings import BadSettings

EXIT_BAD_SETTINGS = 2

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main() -> int:
    log = EventLog(write_to_stdout)
    try:
        asyncio.run(_run(log))
    except BadSettings as error:
        log.remark("error", str(error))
        return EXIT_BAD_SETTINGS
    return 0


async def _run(log: EventLog) -> None:
    logging.getLogger().addHandler(RemarkHandler(log))
    process = Process(os.environ, log)
    log.on_closed = process.stop
    for signal_number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(signal_number, process.stop)
    try:
        await process.run()
    finally:
        for signal_number in SIGNALS:  # a second one must not end Python with another code while it exits
            asyncio.get_running_loop().remove_signal_handler(signal_number)
            signal.signal(signal_number, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
