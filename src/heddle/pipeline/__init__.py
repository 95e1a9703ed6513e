"""What every call goes through: the Exchange, the phase order, the closed set of failures, the compile of a route."""
