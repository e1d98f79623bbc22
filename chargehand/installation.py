"""chargehand installation: which ECS the chargers of a database run on."""

import click


@click.command()
@click.option(
    "--set",
    "services",
    metavar="ARN",
    help="Move the chargers: arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/*. Stop all workers first.",
)
def installation(services: str | None) -> None:
    """Print the ECS services that the chargers of DATABASE_URL run as, or say that they move.

    The first worker that starts records them, and a worker that would use others refuses to start. After a move the
    workers make every service anew at the new place; what runs at the old place is left there.
    """
    from sqlalchemy.exc import DBAPIError

    from shared.database import make_engine
    from shared.installation import NotServices, Services, move, recorded
    from shared.settings import SettingsError, load_settings

    try:
        engine = make_engine(load_settings().database_url, pool_size=1)
        try:
            if services is not None:
                move(engine, Services.parse(services))
            click.echo(recorded(engine) or "No worker has started yet.")
        finally:
            engine.dispose()
    except (NotServices, SettingsError) as error:
        raise click.ClickException(str(error)) from error
    except DBAPIError as error:
        raise click.ClickException(f"the database: {str(error.orig).splitlines()[0]}") from error
