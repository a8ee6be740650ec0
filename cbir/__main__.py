"""`python -m cbir` is the command `cbir`."""

from cbir.command import main

main()
