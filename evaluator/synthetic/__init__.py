"""A data set whose truth is known by construction, and a small network that is trained on it.

``scene`` what stands in an image, drawn from a seed  ·  ``shapes`` outlines  ·  ``drawing`` a scene
as pixels and mask ``dataset`` the files of ``camtui synth``  ·  ``network`` the classifier  ·
``train`` how its shipped weights were made

Only ``network`` and ``train`` import torch.
"""
