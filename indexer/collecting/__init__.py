"""Collecting the cases that were found: which they are, what is shown of them, and how they are sent."""

from indexer.collecting.cases import Case, Cases
from indexer.collecting.choosing import Choosing
from indexer.collecting.keeping import Keeping
from indexer.collecting.policy import Deidentify, Identities, Policy
from indexer.collecting.recalling import Recalling
from indexer.collecting.sending import Sending, Shipment
from indexer.collecting.shipping import Parcel, Shipping
from indexer.collecting.watching import CalledOff, SentStudy, Watch

__all__ = [
    "CalledOff",
    "Case",
    "Cases",
    "Choosing",
    "Deidentify",
    "Identities",
    "Keeping",
    "Parcel",
    "Policy",
    "Recalling",
    "Sending",
    "SentStudy",
    "Shipment",
    "Shipping",
    "Watch",
]
