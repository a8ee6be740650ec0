"""Figures of an encoder that can be believed: metrics, benchmarks and their report; no torch."""
