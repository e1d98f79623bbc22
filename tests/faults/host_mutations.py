"""Mutations of what workers do with hosts and the chargers on them."""

from tests.faults.core_mutations import Mutation

STANDING = "worker/hosts/standing.py"
PLACE = "worker/hosts/place.py"

HOST_MUTATIONS = (
    Mutation(
        "a host's word about an older generation finishes a newer command",
        "worker/observe/on_hosts.py",
        "            AND host_chargers.seen_generation >= chargers.generation AND NOT leaving\n",
        "            AND NOT leaving\n",
    ),
    Mutation(
        "the chargers of a host that is not heard of count as observed",
        STANDING,
        'UNKNOWN_SQL = "(silent AND NOT down)"',
        'UNKNOWN_SQL = "(silent AND false)"',
    ),
    Mutation(
        "a host's silence is taken for the end of its chargers",
        STANDING,
        "        OR (silent AND hosts.running_count = 0 AND hosts.observed_at > heard_at + interval '{ENDED_AFTER_S} s')\n",
        "        OR silent\n",
    ),
    Mutation(
        "a charger does not leave a host that never said hello",
        STANDING,
        "        OR (heard_at IS NULL AND host_chargers.seen_at IS NULL)\n",
        "",
    ),
    Mutation(
        "a crash before a move is taken for the end of the charger there",
        STANDING,
        "(host_chargers.seen_generation >= host_chargers.generation AND NOT host_chargers.running)",
        "(NOT host_chargers.running)",
    ),
    Mutation(
        "an organization gets a place on the host of another",
        PLACE,
        "WHERE organization_id = :organization_id AND draining_at IS NULL",
        "WHERE :organization_id <> '' AND draining_at IS NULL",
    ),
    Mutation(
        "a host that drains gets further chargers",
        PLACE,
        " AND draining_at IS NULL AND deleted_at IS NULL\n    AND chargers <",
        " AND deleted_at IS NULL\n    AND chargers <",
    ),
    Mutation(
        "two workers place chargers of one organization at the same time",
        PLACE,
        "    session.execute(select(func.pg_advisory_xact_lock(PLACING_LOCK, func.hashtext(organization_id))))\n",
        "",
    ),
    Mutation(
        "an older decision replaces a newer one at the host",
        "worker/hosts/decide.py",
        "    WHERE host_chargers.charger_id = placed.charger_id AND host_chargers.generation < placed.generation\n",
        "    WHERE host_chargers.charger_id = placed.charger_id\n",
    ),
    Mutation(
        "a host with chargers is removed",
        "worker/maintenance/keep_hosts.py",
        "            Host.chargers == 0,\n            or_(",
        "            or_(",
    ),
    Mutation(
        "an identity is placed while its earlier charger still ends",
        "worker/reconcile/provision.py",
        "    WHERE other.organization_id = charger.organization_id AND other.identity = charger.identity",
        "    WHERE false AND other.organization_id = charger.organization_id AND other.identity = charger.identity",
    ),
)
