"""The command chargehand: its groups, and its exit statuses.

The modules of commands import slow modules (HTTP, tables, the stack) only when a command runs.
"""

import os
from typing import Any

import click
from click.shell_completion import get_completion_class

from chargehand.catalog import catalog, templates
from chargehand.chargers import chargers
from chargehand.client.failures import Failure
from chargehand.commands import actions, commands
from chargehand.fleet import fleet
from chargehand.hosts import hosts
from chargehand.installation import installation
from chargehand.jobs import jobs
from chargehand.local import env, migrate, token, up
from chargehand.locations import locations
from chargehand.operations import operations
from chargehand.output import note
from shared.startup.strays import OF_PSYCOPG, leave_out

COMPLETE_VARIABLE = "_CHARGEHAND_COMPLETE"
INTERRUPTED = 130  # 128 + SIGINT, as in shells


#: The commands in the help, in this order.
SECTIONS = {
    "Chargers": ("chargers", "fleet", "locations", "hosts", "templates", "catalog"),
    "What was requested of them": ("jobs", "commands", "actions"),
    "The service": ("up", "env", "token", "operations", "migrate", "installation", "completion"),
}


class Commands(click.Group):
    """Prints a failure as lines on standard error, without a traceback. Its help has SECTIONS."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in SECTIONS.items():
            limit = formatter.width - 6 - max(map(len, names))
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(limit)) for name in names])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Failure as failure:
            for number, line in enumerate(str(failure).split("\n")):
                note(line if number else f"Error: {line}")
            ctx.exit(failure.exit_status)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="chargehand")
def main() -> None:
    """Run fleets of simulated EV chargers.

    \b
    chargehand chargers create                  creates a charger
    chargehand fleet up --count 50 --ttl 1h     creates fifty, for an hour

    The stack is the one that runs on this machine (STATE_DIR), or that of CHARGEHAND_URL and
    CHARGEHAND_TOKEN. Exit status: 0 success, 1 failed, 2 wrong usage, 3 timed out, 4 no stack answers,
    130 interrupted.
    """
    leave_out(os.environ, OF_PSYCOPG)  # psycopg reads these when it is imported


@main.command(short_help="Print the script that completes words in a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(*, shell: str) -> None:
    """Print the script that completes commands, options and identities in a shell.

    For bash, in ~/.bashrc: eval "$(chargehand completion bash)"
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(kind(main, {}, "chargehand", COMPLETE_VARIABLE).source())


for command in (
    *(chargers, locations, fleet, hosts, jobs, commands, actions, catalog, templates, operations),
    *(token, env, up, migrate, installation),
):
    main.add_command(command)
