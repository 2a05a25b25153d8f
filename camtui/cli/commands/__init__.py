"""One module for each command of the command line, named like it.

``camtui.cli.app`` imports only the one that was typed.
"""
