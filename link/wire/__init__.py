"""The protocol between the link and the processes of chargers."""
