"""The suite for engines of generalised mixed models: each is held against its own criterion."""
