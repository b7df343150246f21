"""The ranking of engines: its tables, and the terminal."""
