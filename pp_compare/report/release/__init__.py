"""The report of a comparison of releases: terminal, documents, JSON, JUnit."""
