"""The files that can be written, one file a format, and what they say of themselves."""
