"""`cbir bench`: how fast this machine indexes and searches, as ratios to what it could do at best."""
