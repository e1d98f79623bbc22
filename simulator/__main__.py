"""`python -m simulator` runs one charger, described by the environment, until SIGTERM or SIGINT."""

import asyncio
import logging
import os
import signal
import sys

from simulator.charge_point.charge_point import ChargePoint
from simulator.http_api.door import open_http_api
from simulator.lifecycle import build_charge_point, live, switch_off
from simulator.log import EventLog, RemarkHandler, write_to_stdout
from simulator.settings import BadSettings, Settings, read_settings

EXIT_BAD_SETTINGS = 2

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main() -> int:
    try:
        asyncio.run(_run(read_settings(os.environ)))
    except BadSettings as error:
        EventLog(write_to_stdout).remark("error", str(error))
        return EXIT_BAD_SETTINGS
    return 0


async def _run(settings: Settings) -> None:
    log = EventLog(write_to_stdout, settings.password)
    logging.getLogger().addHandler(RemarkHandler(log))
    charge_point = build_charge_point(settings, log)
    running = asyncio.create_task(_live(charge_point))
    ending: list[asyncio.Task[None]] = []

    def stop() -> None:
        if not ending:
            ending.append(asyncio.create_task(switch_off(charge_point, running)))

    log.on_closed = stop
    for signal_number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(signal_number, stop)
    try:
        await running
    finally:
        for signal_number in SIGNALS:  # a second one must not end Python with another code while it exits
            asyncio.get_running_loop().remove_signal_handler(signal_number)
            signal.signal(signal_number, signal.SIG_IGN)


async def _live(charge_point: ChargePoint) -> None:
    async with open_http_api(charge_point):
        await live(charge_point)


if __name__ == "__main__":
    sys.exit(main())
