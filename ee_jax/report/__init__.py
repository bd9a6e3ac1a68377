"""Tables, figures and the page of a run: pure functions of its `results`."""
