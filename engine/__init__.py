"""Qdrant where there is no Qdrant server: the part of its REST protocol that we use, over Qdrant Edge."""
