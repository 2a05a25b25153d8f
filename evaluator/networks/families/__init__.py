"""Families of networks, one file each, found by listing this folder (``evaluator.backbones``); torch is imported in ``build``."""
