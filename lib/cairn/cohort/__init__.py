"""Cohorts: definition, checks, meaning."""
