"""The Performance Law of sequential recommenders, measured again and put to use."""

__version__ = "0.1.0"
