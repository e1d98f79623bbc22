"""The charger's own HTTP API, where CHARGER_HTTP_PORT is set."""
