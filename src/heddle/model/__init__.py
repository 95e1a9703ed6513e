"""What is declared and what crosses layers: configuration, resources, the snapshot, principals, calls.

Pure: no I/O, no clock, no environment. `config*` is the short form people type, `resources*` the same things as
resources, `expand` leads from the first to the second, `plan` lays resources out flat, `check`, `rules` and `reach` say
what is wrong.
"""
