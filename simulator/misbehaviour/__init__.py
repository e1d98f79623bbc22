"""What a charger does wrong on purpose, for whoever tests a CSMS."""
