"""What is indexed, and how it is asked."""
