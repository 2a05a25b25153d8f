"""A pretrained classifier as the evaluator needs it: cut at its target layer, made fast, run in micro-batches."""
