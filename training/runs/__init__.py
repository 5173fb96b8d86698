"""A run, from a preset to a finished folder."""
