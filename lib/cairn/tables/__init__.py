"""Contracts: one module per table."""
