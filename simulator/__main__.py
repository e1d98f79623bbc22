"""`python -m simulator`: one charger, described by the environment, until SIGTERM."""

import asyncio
import os
import signal
import sys

from simulator.life import build_charge_point, live
from simulator.log import EventLog, write_to_stdout
from simulator.settings import BadSettings, Settings, read_settings

EXIT_BAD_SETTINGS = 2


def main() -> int:
    try:
        settings = read_settings(os.environ)
    except BadSettings as error:
        EventLog(write_to_stdout).remark("error", str(error))
        return EXIT_BAD_SETTINGS
    asyncio.run(_run(settings))
    return 0


async def _run(settings: Settings) -> None:
    log = EventLog(write_to_stdout, settings.password)
    life = asyncio.create_task(live(build_charge_point(settings, log)))

    def stop() -> None:
        if not life.cancelling():
            life.cancel()

    log.on_closed = stop
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop)
    await life


if __name__ == "__main__":
    sys.exit(main())
