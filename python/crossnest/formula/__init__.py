"""From the text of a formula to terms, variables and the encoders of their columns."""
