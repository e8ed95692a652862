"""From parameters to pages: execute notebooks, render the book."""
