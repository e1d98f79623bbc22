"""The connection to the CSMS: the WebSocket, OCPP-J frames, their schemas, and the queue of calls."""
