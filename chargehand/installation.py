"""`chargehand installation`: shows or changes the ECS of a database's chargers."""

import click

from chargehand.client.failures import Failure
from chargehand.local import bad_settings_in_one_line
from chargehand.options import as_json, assume_yes, on_a_terminal
from chargehand.output import print_json


@click.command(short_help="Print which ECS the chargers of a database run on.")
@click.option(
    "--set",
    "services",
    metavar="ARN",
    help="Move the chargers: arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/*. Stop all workers first.",
)
@assume_yes
@as_json
def installation(*, services: str | None, yes: bool, as_json: bool) -> None:
    """Print the ECS services that the chargers of DATABASE_URL run as, or move the chargers to others.

    The first worker that starts records them, and a worker with other services refuses to start. After a move the
    workers create every service again at the new ECS. The services at the old ECS stay: chargers run twice until
    you delete those, and while workers of the old ECS run. --set needs a confirmation, or --yes.
    """
    from psycopg.errors import UndefinedTable
    from sqlalchemy.exc import DBAPIError

    from shared.database.diagnosis import connection_trouble, first_line
    from shared.database.engine import make_engine
    from shared.database.schema import NOT_MIGRATED
    from shared.fleet.installation import NotServices, Services, move, recorded
    from shared.startup.checks import checked_settings

    try:
        wanted = None if services is None else Services.parse(services)
    except NotServices as error:
        raise Failure(str(error)) from error
    if wanted is not None and not yes:
        if not on_a_terminal():
            raise click.UsageError("--set moves all chargers: without a terminal it needs --yes")
        click.confirm(f"Move all chargers to {wanted}? All workers must be stopped.", abort=True, err=True)
    with bad_settings_in_one_line():
        engine = make_engine(checked_settings(verifies_tokens=False).database_url, pool_size=1)
    try:
        if wanted is not None:
            move(engine, wanted)
        found = recorded(engine)
    except DBAPIError as error:
        if isinstance(error.orig, UndefinedTable):
            raise Failure(NOT_MIGRATED) from error
        raise Failure(f"{connection_trouble(error)} ({first_line(error.orig)})") from error
    finally:
        engine.dispose()
    if as_json:
        print_json({"services": None if found is None else str(found)})
    else:
        click.echo(found or "No worker has started yet.")
