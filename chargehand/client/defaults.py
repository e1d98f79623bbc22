"""What a new charger is unless somebody says otherwise. Imports nothing, so help texts may have it."""

DEFAULT_BRAND, DEFAULT_MODEL, DEFAULT_CONNECTOR = "wallbox", "wallbox-pulsar-plus", "Type2"
