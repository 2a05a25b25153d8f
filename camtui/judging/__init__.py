"""Judgement of a run's metrics by where the objects are known to be.

``values`` a run's stored numbers as arrays  ·  ``kendall`` rank correlation  ·  ``bootstrap``
intervals over images ``judgement`` agreement, controls, sensitivity, stability
"""
