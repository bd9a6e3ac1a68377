"""Language modeling: a next token at every position, each from a depth of its own."""
