"""The end of a route: what finally answers a call, once policies have let it through.

A backend turns an Exchange into upstream traffic and back, and records on it what was used and when. It decides
nothing about who may call, and knows no vendor: providers are given to it.
"""
