"""The tests mirror the five rooms."""
