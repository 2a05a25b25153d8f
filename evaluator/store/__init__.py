"""One SQLite file per run: ``schema`` says what it holds, ``writer`` is the driver's alone.

``reader`` everybody else's.
"""
