"""Cars: their drivers, their cables, and the energy that flows into them."""
