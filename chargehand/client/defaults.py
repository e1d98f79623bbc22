"""The default model of a new charger. Imports nothing, because help texts use it."""

DEFAULT_BRAND, DEFAULT_MODEL, DEFAULT_CONNECTOR = "wallbox", "wallbox-pulsar-plus", "Type2"
