"""What a gate remembers of earlier nights: the document, its storage, and judging with it; free of I/O.

Three calls are all that a task needs: ``ring.load`` reads the memory, ``judge.judge`` judges a night with it, and
``ring.remember`` stores that night.
"""
