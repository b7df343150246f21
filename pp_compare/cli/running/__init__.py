"""What surrounds a command: the files that it makes for a while, and how it ends."""
