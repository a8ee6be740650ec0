"""Where encoders come from, offline."""
