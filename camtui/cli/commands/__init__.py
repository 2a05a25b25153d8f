"""One module for each command, named like it; only the one that was typed is imported."""
