"""What is looked for in texts, and the engine that finds it: the same in a whole text as in a stream of pieces.

Each family of recognisers is one file, named in `catalog`. `expression` reads patterns, `automaton` compiles
recognisers together, `scanner` runs them. It refuses what has no bound: a recogniser declares its longest match, so
that a stream never waits for more than that. Nothing here knows calls, dialects or callers; nothing does I/O except
`webhook`, through the client it is given.
"""
