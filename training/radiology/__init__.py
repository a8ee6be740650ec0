"""The recipe of the default encoder: a frozen trunk, a distilled general branch, a branch for findings."""
