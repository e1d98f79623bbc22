"""The control link: where the processes of chargers connect, receive actions, and say what came of them."""
