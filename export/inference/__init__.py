"""A model made fast for inference, with its values kept."""
