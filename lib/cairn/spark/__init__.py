"""Spark: session, the store that alone writes Delta, and the resumable stage runner."""
