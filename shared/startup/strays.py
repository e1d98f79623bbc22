"""Variables that libraries read by themselves, past our settings.

One that another project has set must not lead a process of ours elsewhere: our settings decide.
"""

from collections.abc import Iterable, Mapping, MutableMapping

OF_PSYCOPG = ("PSYCOPG_",)
#: Not used. A name that ends with an underscore is the beginning of many.
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
    "FLASK_",  # FLASK_DEBUG changes what an error is answered with
    *OF_PSYCOPG,
    # Where libpq connects, and what the session then is. DATABASE_URL says both.
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

#: Of libpq, and added to DATABASE_URL where it says nothing else: how both sides prove who they are.
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
#: Would fill what DATABASE_URL leaves out.
GAPS = {"host": ("PGHOST", "PGHOSTADDR", "PGSERVICE"), "user": ("PGUSER",), "dbname": ("PGDATABASE",)}

#: All of libpq's.
OF_LIBPQ = (*ADDED, *(name for name in NOT_USED if name.startswith("PG")))


def leave_out(environment: MutableMapping[str, str], names: Iterable[str] = NOT_USED) -> list[str]:
    """Remove them, before a library reads one. Returns which there were. Safe to repeat."""
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
    """What a DATABASE_URL leaves out, and the variable that would say it if it were used; None where there is none."""
    place = {**parameters, "host": parameters.get("host") or parameters.get("hostaddr", "")}
    for keyword, names in GAPS.items():
        for name in names:
            if not place.get(keyword) and environment.get(name):
                return keyword, name
    return None
