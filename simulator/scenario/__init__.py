"""What a charger performs by itself: actions with times and conditions."""
