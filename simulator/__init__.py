"""A simulated EV charger: one process, OCPP 1.6J or 2.0.1 over WebSocket, configured by its environment."""
