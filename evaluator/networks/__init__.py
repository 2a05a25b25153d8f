"""A pretrained classifier, cut at its target layer, made fast and run in micro-batches."""
