"""One SQLite file per run: its tables (``schema``), its one ``writer``, and the ``reader``."""
