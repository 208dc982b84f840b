"""Searches: which settings a sweep tries next, given what came of the earlier ones."""
