"""Actions of a driver: a token is shown."""

from simulator.actions.charger import Charger
from simulator.actions.outcome import Rejected
from simulator.actions.place import PLACE, describe_connector, find_connector
from simulator.actions.row import Event, Result, action
from simulator.actions.tokens import ID_TAG, TOKEN_TYPE, read_token


@action(ID_TAG, TOKEN_TYPE, *PLACE, example={"id_tag": "CARD-1", "connector_id": 1})
def present_token(charger: Charger, event: Event) -> Result:
    """A driver shows a token at a connector.

    It is authorized as the charger is configured: by the local list, the cache, or the CSMS. It starts a
    transaction, or ends the one that it or another token of its group started.
    """
    connector = find_connector(charger, event)
    if not charger.station.sessions.present_token(connector, read_token(charger, event)):
        raise Rejected(
            f"no token can start or stop here: the connector is {charger.status_of(connector.number)}"
        )
    return describe_connector(charger, connector)
