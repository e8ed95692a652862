"""What neighbouring work suggests, tried on this study's bench; one module a question."""
