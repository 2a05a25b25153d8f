"""How well the metrics of a run judge explanations, against where the object is known to be.

``values`` a run's stored numbers as arrays  ·  ``kendall`` rank correlation  ·  ``bootstrap``
intervals over images ``judgement`` agreement, controls, sensitivity, stability
"""
