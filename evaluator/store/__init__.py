"""One SQLite file per run: ``schema`` says what it holds, ``writer`` is opened by the driver alone, ``reader`` by everybody else."""
