"""What a charger physically is: connectors with cables, cars and meters. Knows nothing of OCPP."""

from dataclasses import dataclass


@dataclass(slots=True)
class Connector:
    number: int  #: from 1; in OCPP 2.0.1 the id of an EVSE with one connector
    plugged: bool = False
    operative: bool = True
    fault: str | None = None
