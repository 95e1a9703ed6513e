"""`python -m heddle.stdio`: the stdio host, as the mesh starts it."""

from heddle.stdio.host import main

if __name__ == "__main__":
    main()
