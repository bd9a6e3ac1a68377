"""Thresholds from traces: no model, no run, no command line."""
