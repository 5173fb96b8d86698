"""One module a framework, each run in a process, and an environment, of its own.

They speak `protocol`: a request a line on standard input, an answer a line on
standard output. They import no module of the others' environments, so that each
needs nothing but its own framework, NumPy and the standard library.
"""
