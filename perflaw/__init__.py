"""The Performance Law of sequential recommenders, measured again and put to use.

The modules, in the order in which data flows, are listed in the README's
architecture table; each imports only from those above it.
"""

__version__ = "0.1.0"


class InputError(ValueError):
    """The user's input cannot be used; the message says what, where and how to mend it."""
