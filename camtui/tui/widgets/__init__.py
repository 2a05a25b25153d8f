"""What screens are made of. A widget draws what it is given and says what the user wants.

It never asks the run's file.
"""
