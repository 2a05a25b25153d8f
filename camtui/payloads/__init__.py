"""Types of everything that camtui prints as JSON, from which ``camtui schema`` makes JSON Schemas.

Who makes a payload names its type, so that mypy finds where the two differ; only ``schemas``
imports these modules when a command runs.
"""
