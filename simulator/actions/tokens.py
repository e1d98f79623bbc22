"""The token that an action names."""

from simulator.actions.charger import Charger
from simulator.actions.fields import Field
from simulator.actions.outcome import Rejected
from simulator.actions.row import Event
from simulator.station.model import Token

#: IdTokenEnumType of OCPP 2.0.1; 1.6 does not have types.
TOKEN_TYPES = (
    "Central",
    "eMAID",
    "ISO14443",
    "ISO15693",
    "KeyCode",
    "Local",
    "MacAddress",
    "NoAuthorization",
)

ID_TAG = Field(
    name="id_tag",
    type="string",
    required=True,
    min_length=1,
    max_length=36,
    description="The token: an idTag of at most 20 characters in OCPP 1.6, an idToken of at most 36 in 2.0.1.",
)
TOKEN_TYPE = Field(
    name="token_type",
    type="string",
    nullable=True,
    choices=TOKEN_TYPES,
    description="In OCPP 2.0.1 the type of the token; ISO14443 unless it is given.",
)


def read_token(charger: Charger, event: Event) -> Token:
    """Raises Rejected for a token that is too long for this version."""
    value = event["id_tag"]
    if len(value) > charger.token_length:
        raise Rejected(f"id_tag has more than {charger.token_length} characters")
    return Token(value, event.get("token_type", "ISO14443"))
