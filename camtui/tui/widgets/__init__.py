"""The widgets that screens are made of.

A widget draws what it is given and says what the user wants; it never asks the run's file.
"""
