"""The physical station, whatever the OCPP version: cables, cars, meters, transactions and reservations."""
