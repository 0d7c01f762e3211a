"""`python -m supernet_cli` is `supernet`."""

from supernet_cli.cli.app import main

if __name__ == "__main__":
    main()
