"""The environment that a worker, a beat or a migration needs to join a running stack."""

from collections.abc import Mapping

from shared.settings import variables

#: Read by the AWS SDK and by HTTP clients, not by our settings.
OF_LIBRARIES = {
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_ENDPOINT_URL",
    "AWS_SECRET_ACCESS_KEY",
    "NO_PROXY",
    "no_proxy",
}
#: Read by the API alone. A worker needs no way to verify tokens, so the secret is not handed on.
OF_THE_API = ("BIND", "JWT_")
#: Any variable that begins so leads a process to a store, a broker or an ECS.
LEADING = ("AWS_", "ECS_", "BROKER_URL", "CHARGEHAND_INSTALLATION", "DATABASE_URL", "REDIS_URL")


def joining_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of `environment`, the one that the stack's own programs run in, that decide where they work.

    A process with these variables uses the same database, broker and ECS. Raises SettingsError.
    """
    wanted = {name for name in variables() if not name.startswith(OF_THE_API)} | OF_LIBRARIES | {"STATE_DIR"}
    return {name: environment[name] for name in sorted(wanted) if name in environment}


def leads_elsewhere(name: str, joining: Mapping[str, str]) -> bool:
    """Whether a variable of somebody's shell would take a process with the `joining` variables to another place."""
    return name.startswith(LEADING) and name not in joining
