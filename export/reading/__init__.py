"""A `.keras` file read and made a plain model."""
