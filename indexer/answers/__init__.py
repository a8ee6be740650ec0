"""Matches, in the forms in which they are answered."""
