"""Code of cells in toy notebooks."""

DRAW = """with open('figures/{0}.svg', 'w') as f:
    f.write('<svg xmlns="http://www.w3.org/2000/svg"/>')"""
