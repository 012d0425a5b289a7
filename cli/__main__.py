"""`python -m retinue.cli` is `retinue`."""

from retinue.cli.main import main

main()
