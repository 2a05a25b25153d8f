"""The terminal's side of camtui, without torch: runs are started, watched, printed and exported."""
