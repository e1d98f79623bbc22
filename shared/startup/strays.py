"""Environment variables that libraries read past our settings.

They are removed at start: one that was set for another project must not change where a process connects.
"""

from collections.abc import Iterable, Mapping, MutableMapping

OF_PSYCOPG = ("PSYCOPG_",)
#: Removed. A name that ends with an underscore is a prefix.
NOT_USED = (
    # Celery takes its broker, its configuration and every option of its command line from these.
    *(
        "AUTOSCALE_KEEPALIVE",
        "CELERY_",
        "CONFIG_MODULE",
        "C_STRICT_APP",
        "C_WARN_APP",
        "DJANGO_SETTINGS_MODULE",
    ),
    *("KOMBU_", "LOADER", "RESULT_BACKEND"),
    "FLASK_",  # FLASK_DEBUG changes error responses
    *OF_PSYCOPG,
    # Where libpq connects, and its session's settings. DATABASE_URL has both.
    *("PGAPPNAME", "PGCLIENTENCODING", "PGCONNECT_TIMEOUT", "PGDATABASE", "PGDATESTYLE", "PGGEQO", "PGHOST"),
    *(
        "PGHOSTADDR",
        "PGLOADBALANCEHOSTS",
        "PGOPTIONS",
        "PGPORT",
        "PGSERVICE",
        "PGSERVICEFILE",
        "PGSYSCONFDIR",
    ),
    *("PGTARGETSESSIONATTRS", "PGTZ", "PGUSER"),
)
#: Set by Celery's worker for processes that it starts.
OF_CELERY_ITSELF = ("CELERY_LOG_FILE", "CELERY_LOG_LEVEL", "CELERY_LOG_REDIRECT", "CELERY_LOG_REDIRECT_LEVEL")

#: libpq's variables for authentication and TLS. They add to DATABASE_URL the parameters that it lacks.
ADDED = {
    "PGCHANNELBINDING": "channel_binding",
    "PGGSSDELEGATION": "gssdelegation",
    "PGGSSENCMODE": "gssencmode",
    "PGGSSLIB": "gsslib",
    "PGKRBSRVNAME": "krbsrvname",
    "PGMAXPROTOCOLVERSION": "max_protocol_version",
    "PGMINPROTOCOLVERSION": "min_protocol_version",
    "PGPASSFILE": "passfile",
    "PGPASSWORD": "password",
    "PGREQUIREAUTH": "require_auth",
    "PGREQUIREPEER": "requirepeer",
    "PGSSLCERT": "sslcert",
    "PGSSLCERTMODE": "sslcertmode",
    "PGSSLCOMPRESSION": "sslcompression",
    "PGSSLCRL": "sslcrl",
    "PGSSLCRLDIR": "sslcrldir",
    "PGSSLKEY": "sslkey",
    "PGSSLMAXPROTOCOLVERSION": "ssl_max_protocol_version",
    "PGSSLMINPROTOCOLVERSION": "ssl_min_protocol_version",
    "PGSSLMODE": "sslmode",
    "PGSSLNEGOTIATION": "sslnegotiation",
    "PGSSLROOTCERT": "sslrootcert",
    "PGSSLSNI": "sslsni",
}
#: libpq's variables that would fill gaps of DATABASE_URL.
GAPS = {"host": ("PGHOST", "PGHOSTADDR", "PGSERVICE"), "user": ("PGUSER",), "dbname": ("PGDATABASE",)}

#: All of libpq's.
OF_LIBPQ = (*ADDED, *(name for name in NOT_USED if name.startswith("PG")))


def leave_out(environment: MutableMapping[str, str], names: Iterable[str] = NOT_USED) -> list[str]:
    """Remove the variables. Returns the names of those that were set. Safe to repeat."""
    beginnings = tuple(name for name in names if name.endswith("_"))
    exactly = frozenset(names) - frozenset(beginnings)
    found = sorted(
        name
        for name in environment
        if (name in exactly or name.startswith(beginnings)) and name not in OF_CELERY_ITSELF
    )
    for name in found:
        del environment[name]
    return found


def gap(parameters: Mapping[str, str], environment: Mapping[str, str]) -> tuple[str, str] | None:
    """A parameter that DATABASE_URL lacks, and the unused variable that has it; None when there is none."""
    place = {**parameters, "host": parameters.get("host") or parameters.get("hostaddr", "")}
    for keyword, names in GAPS.items():
        for name in names:
            if not place.get(keyword) and environment.get(name):
                return keyword, name
    return None
