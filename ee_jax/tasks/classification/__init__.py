"""Classification, and regression: one answer an example, from an encoder's exits."""
