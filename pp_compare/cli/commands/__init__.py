"""The commands: a module each, of the same name, which registers itself with the root."""
