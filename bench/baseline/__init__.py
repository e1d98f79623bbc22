"""The same route, written plainly: what Chargehand's accept path is compared with."""
