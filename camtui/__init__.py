"""The terminal's side of camtui: starts runs, watches them, prints and exports what they found.

Never imports torch.
"""
