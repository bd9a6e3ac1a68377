"""Confidences, exit rules, costs, and the compiled loop that puts them to work."""
