"""The execution of a run: a driver hands out units, executors carry them to workers and back."""
