"""`python -m citadel.cli`."""

from citadel.cli import main

if __name__ == "__main__":
    main()
