"""Removing text from pixels: boxes are blanked, and nothing else changes. Knows no Spark."""
