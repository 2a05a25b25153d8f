"""The command that opens the dashboard."""
