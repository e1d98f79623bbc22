"""A charger without its connection: what all OCPP versions share, and what it remembers."""
