"""Folders with which anybody can see a difference without this project, and reports read again."""
