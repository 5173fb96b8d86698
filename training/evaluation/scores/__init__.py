"""Scores as pure functions on features, a file a score."""
