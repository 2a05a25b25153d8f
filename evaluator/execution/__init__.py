"""Who computes what, where and when: the driver hands out units, executors carry them to workers and bring results back."""
