"""The command, and the only place where ports meet adapters."""
