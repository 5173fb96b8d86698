"""How long exported files take."""
