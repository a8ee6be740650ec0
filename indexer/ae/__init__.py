"""The CBIR application entity: a study that is sent to it is a question, and a report comes back."""
