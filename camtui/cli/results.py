"""Commands that show what a run found: table, export, show, errors, worst, compare."""
