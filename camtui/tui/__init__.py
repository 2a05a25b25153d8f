"""The dashboard: the only part of camtui that imports textual."""
