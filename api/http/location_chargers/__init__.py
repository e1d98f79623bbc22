"""The queries, bodies and answers of the chargers of a location: field for field the contract's."""
