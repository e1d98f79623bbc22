"""OCPP 1.6J: translates between its messages and the station."""
