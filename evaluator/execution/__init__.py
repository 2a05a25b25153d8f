"""Who computes what, where and when.

The driver hands out units, executors carry them to workers and bring results back.
"""
