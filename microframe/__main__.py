"""``python -m microframe`` is ``microframe``."""

from microframe.cli import main

main()
