"""What is known of a charger that has a host, as SQL: from what the host said, whether its link lives, and what ECS says."""

from shared.fleet.control import LINK_TIMEOUT

#: A task that ECS no longer counts as running may need so long until its process has ended.
ENDED_AFTER_S = 60

_LEASE = f"interval '{LINK_TIMEOUT.total_seconds():g} s'"

#: When a word of the host last came, or could have come; null when it never said hello. A host reports every 5 s, so a
#: process that stands still, or a network that is cut, counts before the connection breaks.
_HEARD_AT = """
    CASE
        WHEN held.disconnected_at IS NULL
        THEN LEAST(COALESCE(links.seen_at, held.connected_at), GREATEST(hosts.reported_at, held.connected_at))
        ELSE LEAST(held.disconnected_at, links.seen_at)
    END
"""
#: The host's rows, for the FROM of a statement that has `host_chargers`.
HOST_SQL = f"""
    JOIN hosts ON hosts.id = host_chargers.host_id
    LEFT JOIN control_sessions held ON held.process_id = hosts.id
    LEFT JOIN control_links links ON links.id = held.link_id
    CROSS JOIN LATERAL (SELECT {_HEARD_AT} AS heard_at) heard
    CROSS JOIN LATERAL (SELECT heard_at IS NULL OR heard_at < clock_timestamp() - {_LEASE} AS silent) lease
    CROSS JOIN LATERAL (
        SELECT silent AND COALESCE(
            heard_at IS NULL OR hosts.service_status = 'INACTIVE'
            OR (hosts.running_count = 0 AND hosts.observed_at > heard_at + {_LEASE}), false
        ) AS down
    ) task
"""
#: Its host may run the charger or not: the host has not been heard of for longer than the lease, and its task may live.
UNKNOWN_SQL = "(silent AND NOT down)"
#: The charger runs, by the word of the process that its host is now.
RUNS_SQL = "(host_chargers.running AND host_chargers.host_boot_id = held.boot_id AND NOT silent)"
#: The charger leaves, and its host does not run it any more, nor ever will: it said so, or its task has ended, or it never
#: said hello, and will hear of the end first.
ENDED_SQL = f"""(
    leaving AND (
        (host_chargers.seen_generation >= host_chargers.generation AND NOT host_chargers.running)
        OR hosts.service_status = 'INACTIVE'
        OR (heard_at IS NULL AND host_chargers.seen_at IS NULL)
        OR (silent AND hosts.running_count = 0 AND hosts.observed_at > heard_at + interval '{ENDED_AFTER_S} s')
    )
)"""
