"""What the user can mend."""


class InputError(ValueError):
    """The user's input cannot be used; the message says what, where and how to mend it."""
