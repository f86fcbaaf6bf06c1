"""Tables and numbers printed as R prints them."""
