"""Heddle: an agent mesh. One governed path for every call an agent makes."""

__version__ = "0.1.0"
