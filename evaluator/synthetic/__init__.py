"""Data sets whose truth is known by construction, and small networks that are trained on them.

``scene``: what stands in an image, drawn from a seed, as pixels and masks, and the files of
``camtui synth``  ·  ``train``: the classifiers, and how their shipped weights were made

Only ``train`` imports torch.
"""
