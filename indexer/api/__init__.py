"""The HTTP side: asking, browsing, pictures, health and the page."""

from indexer.api.application import create_app
from indexer.api.house import ApiSettings, Event, House

__all__ = ["ApiSettings", "Event", "House", "create_app"]
