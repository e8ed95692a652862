"""What only the chapters of this book need: the paper, analyses, figures, the explorer."""
