"""Other people's Python packages as engines of generalised mixed models."""
