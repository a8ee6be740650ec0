"""The ports of the indexer, each spoken to one vendor."""
