"""The verifier: does anything that identifies a person stand in what leaves? Shares no code with what de-identifies."""

VERSION = 4
"""Raised when it finds more than before: what crossed is then looked at again."""
