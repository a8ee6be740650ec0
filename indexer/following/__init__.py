"""How the ledger learns what the archive holds: hints, then the archive's log, then all of it compared."""

from indexer.following.changes import ChangeFollower, Polled
from indexer.following.comparison import Comparison, Reconciler
from indexer.following.follower import Follower
from indexer.following.hints import Events, Hint

__all__ = ["ChangeFollower", "Comparison", "Events", "Follower", "Hint", "Polled", "Reconciler"]
