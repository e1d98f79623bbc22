"""Metrics of a link process for Prometheus. Labels are never a charger, an organization or a token."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()

SESSIONS = Gauge("chargehand_link_sessions", "Processes of chargers that are connected.", registry=REGISTRY)
CHARGERS = Gauge("chargehand_link_chargers", "Chargers of these processes.", registry=REGISTRY)
HELLOS = Counter(
    "chargehand_link_hellos",
    "Processes that connected, by what became of it: accepted, or the reason of the refusal.",
    ["outcome"],
    registry=REGISTRY,
)
SENT = Counter(
    "chargehand_link_actions_sent", "Actions sent to chargers, repeats included.", registry=REGISTRY
)
SENT_AFTER = Histogram(
    "chargehand_link_action_sent_seconds",
    "From the request for an action until it is sent to the charger.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30),
    registry=REGISTRY,
)
FINISHED = Counter(
    "chargehand_link_actions_finished", "Actions that became final.", ["status"], registry=REGISTRY
)
FINISHED_AFTER = Histogram(
    "chargehand_link_action_seconds",
    "From the request for an action until it is final.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 120),
    registry=REGISTRY,
)
WAITING = Gauge(
    "chargehand_link_waiting",
    "Results, states, memories, hellos and observations of hosts that the database has not taken yet.",
    ["kind"],
    registry=REGISTRY,
)
CLOSED = Counter(
    "chargehand_link_closed", "Sessions that the link has closed, by close code.", ["code"], registry=REGISTRY
)


def exposition() -> bytes:
    """All metrics, in Prometheus's text format."""
    return generate_latest(REGISTRY)
