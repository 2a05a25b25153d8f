"""From image files to rows of metrics: decode, explain, mask, score.

All that a worker computes, nothing of who asked for it.
"""
