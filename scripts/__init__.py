"""Scripts that the Makefile runs before anything is installed. They import the standard library only."""
