"""Runs Amazon ECS and CloudWatch Logs on this machine until SIGTERM or Ctrl-C: python -m embedded.ecs."""

import os
import shlex
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import click

from embedded.ecs.authentication import Credentials
from embedded.ecs.scheduling.scheduler import Options
from embedded.ecs.server import EmbeddedEcs, Settings

DEFAULTS = Options()
SECONDS = click.FloatRange(0, 86_400)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--host", default="127.0.0.1", show_default=True, envvar="ECS_EMBEDDED_HOST")
@click.option(
    "--name",
    "names",
    multiple=True,
    envvar="ECS_EMBEDDED_NAMES",
    help="A host name that clients use, in addition to the host and localhost. May be repeated.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=0,
    envvar="ECS_EMBEDDED_PORT",
    help="0 takes a free port.",
)
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".chargehand/ecs"),
    show_default=True,
    envvar="ECS_EMBEDDED_STATE_DIR",
    help="Folder of services and task definitions; kept over restarts.",
)
@click.option("--cluster", default="chargehand", show_default=True, envvar="ECS_EMBEDDED_CLUSTER")
@click.option(
    "--log-group", default="/chargehand/chargers", show_default=True, envvar="ECS_EMBEDDED_LOG_GROUP"
)
@click.option("--region", default="us-east-1", show_default=True, envvar="ECS_EMBEDDED_REGION")
@click.option(
    "--task-command",
    default=shlex.join(DEFAULTS.task_command),
    show_default="python -m simulator",
    envvar="ECS_EMBEDDED_TASK_COMMAND",
    help="The command of a task, in shell syntax.",
)
@click.option(
    "--steady-after-s",
    type=SECONDS,
    default=DEFAULTS.steady_after_s,
    show_default=True,
    envvar="ECS_EMBEDDED_STEADY_AFTER_S",
    help="Seconds after which a running task counts as started.",
)
@click.option(
    "--first-retry-s",
    type=SECONDS,
    default=DEFAULTS.first_retry_s,
    show_default=True,
    envvar="ECS_EMBEDDED_FIRST_RETRY_S",
    help="Seconds until the first restart after a crash; doubles up to 60.",
)
@click.option(
    "--shutdown-s",
    type=SECONDS,
    default=DEFAULTS.shutdown_s,
    show_default=True,
    envvar="ECS_EMBEDDED_SHUTDOWN_S",
    help="Seconds for all tasks to stop when this server stops.",
)
@click.option(
    "--until-stdin-closes",
    is_flag=True,
    help="Stop when standard input ends, as it does when the parent process ends.",
)
def main(
    *,
    host: str,
    names: tuple[str, ...],
    port: int,
    state_dir: Path,
    cluster: str,
    log_group: str,
    region: str,
    task_command: str,
    steady_after_s: float,
    first_retry_s: float,
    shutdown_s: float,
    until_stdin_closes: bool,
) -> None:
    """Amazon ECS and CloudWatch Logs on this machine: tasks are local processes.

    Callers must have the AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of its environment.
    """
    try:
        command = tuple(shlex.split(task_command))
    except ValueError as error:
        raise click.BadParameter(f"{task_command!r}: {error}", param_hint="--task-command") from error
    settings = Settings(
        state_dir=state_dir,
        credentials=credentials_of(os.environ),
        names=names,
        host=host,
        port=port,
        region=region,
        cluster=cluster,
        log_group=log_group,
        options=Options(
            task_command=command,
            steady_after_s=steady_after_s,
            first_retry_s=first_retry_s,
            shutdown_s=shutdown_s,
        ),
    )
    run(settings, until_stdin_closes=until_stdin_closes)


def run(settings: Settings, *, until_stdin_closes: bool) -> None:
    """Serve until a signal, or the end of standard input. Raises ClickException."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        ecs = EmbeddedEcs(settings, ended=stop.set)
    except OSError as error:
        raise click.ClickException(str(error)) from error
    print(f"Embedded Amazon ECS on {ecs.url}", flush=True)
    if until_stdin_closes:
        threading.Thread(target=wait_for_end_of_input, args=(stop,), daemon=True).start()
    stop.wait()
    if not ecs.close():
        raise click.ClickException("the scheduler failed")
    print("Embedded Amazon ECS stopped", flush=True)


def credentials_of(environment: Mapping[str, str]) -> Credentials:
    """The access key in the environment. It is no argument, because every user can see those. Raises ClickException."""
    values = {name: environment.get(name, "") for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    missing = [name for name, value in values.items() if not value]
    if missing:
        raise click.ClickException(f"{' and '.join(missing)} must be set: callers of this ECS need both")
    return Credentials(*values.values())


def wait_for_end_of_input(stop: threading.Event) -> None:
    """Set `stop` when standard input ends."""
    while os.read(sys.stdin.fileno(), 4_096):  # unbuffered: a buffer's lock would block the exit
        pass
    stop.set()


if __name__ == "__main__":
    main()
