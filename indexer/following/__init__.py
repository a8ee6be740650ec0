"""How the ledger learns what the archive holds: hints, then the archive's log, then all of it compared."""

from indexer.following.calibrating import Calibrator
from indexer.following.calibration import Calibration
from indexer.following.changes import ChangeFollower, Polled
from indexer.following.compared import Comparison
from indexer.following.comparison import Reconciler
from indexer.following.filling import Filling, filling
from indexer.following.follower import Follower, compare_and_switch
from indexer.following.hints import Events, Hint
from indexer.following.switching import Switching

__all__ = [
    "Calibration",
    "Calibrator",
    "ChangeFollower",
    "Comparison",
    "Events",
    "Filling",
    "Follower",
    "Hint",
    "Polled",
    "Reconciler",
    "Switching",
    "compare_and_switch",
    "filling",
]
