"""OCPP 2.0.1: translates between its messages and the station."""
