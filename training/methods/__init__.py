"""Learning methods: a configuration, a network over its data, and what is minimised at each step."""
