"""``python -m pp_compare``."""

from pp_compare.cli import main

if __name__ == "__main__":
    main()
