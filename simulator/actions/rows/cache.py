"""The authorization cache."""

from simulator.actions.charger import Charger
from simulator.actions.fields import Field
from simulator.actions.outcome import Rejected
from simulator.actions.row import Event, Result, action
from simulator.actions.rows.local_list import ENTRIES, describe_entries


@action(
    path="cache/reset",
    answer="result",
    result_fields=(
        Field(name="msg", type="string", required=True),
        Field(name="cleared_entries", type="integer", required=True),
    ),
    result_example={"msg": "Authorization cache cleared", "cleared_entries": 3},
)
def cache_reset(charger: Charger, event: Event) -> Result:
    """The charger empties its authorization cache, as by ClearCache."""
    entries = len(charger.authorizer.cache)
    if not charger.authorizer.clear_cache():
        raise Rejected("the authorization cache is off")
    charger.keep_state()
    return {"msg": "Authorization cache cleared", "cleared_entries": entries}


@action(
    method="GET",
    path="cache",
    answer="result",
    result_fields=(Field(name="enabled", type="boolean", required=True), ENTRIES),
    result_example={
        "enabled": True,
        "entries": [{"id_tag": "card-1", "status": "Accepted", "expiry_date": None, "parent_id_tag": None}],
    },
)
def get_cache(charger: Charger, event: Event) -> Result:
    """The tokens that the authorization cache knows, in lower case."""
    enabled = charger.options.flag("cache_enabled")
    return {"enabled": enabled, "entries": describe_entries(charger.authorizer.cache)}
