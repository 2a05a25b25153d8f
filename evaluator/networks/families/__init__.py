"""Families of networks, one file each, found by listing this folder (``evaluator.backbones``).

Torch is imported in ``build``.
"""
