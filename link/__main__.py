"""Run a process of the control link until SIGTERM or SIGINT: python -m link."""

import asyncio
import gc
import os
import resource
import signal
import sys

import structlog

from link.process import Link
from link.server import listening
from link.work.loop import end_tasks
from shared.settings import Settings
from shared.startup.checks import report_strays, settings_or_exit
from shared.startup.log_setup import configure_logging

log = structlog.get_logger(__name__)

FILES_PER_SESSION = 1
OTHER_FILES = 200  # of handshakes, the database, Redis and the logs


def main() -> None:
    settings = settings_or_exit(serves_control=True)
    configure_logging(log_format=settings.log_format, log_level=settings.log_level)
    report_strays()
    raise_file_limit(settings.control.max_sessions * FILES_PER_SESSION + OTHER_FILES)
    gc.freeze()
    try:
        asyncio.run(run(settings))
    except OSError as error:
        sys.exit(f"chargehand: LINK_BIND={settings.control.bind} cannot be used: {error.strerror}")
    sys.stderr.flush()
    os._exit(0)  # a thread that waits for a frozen database would hold up the end


async def run(settings: Settings) -> None:
    """Serve until a signal to stop. Raises OSError when the address cannot be used."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    host, _, port = settings.control.bind.rpartition(":")
    link = Link(settings)
    starting = asyncio.create_task(link.start())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if not stop.is_set():
            async with listening(link, host.strip("[]"), int(port)):
                log.info("link.listening", address=settings.control.bind, link=link.id)
                await stop.wait()
    finally:
        await end_tasks([starting])
        await link.stop()
    log.info("link.stopped", link=link.id)


def raise_file_limit(wanted: int) -> None:
    """Allow so many open files, as far as the system lets this process. Logs if that is not enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        log.warning("link.few_files", allowed=allowed, wanted=wanted)


if __name__ == "__main__":
    main()
