"""A pretrained classifier as the evaluator needs it.

Cut at its target layer, made fast, run in micro-batches.
"""
