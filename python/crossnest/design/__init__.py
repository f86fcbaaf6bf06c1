"""From a formula and data to the response, model matrices and grouping factors."""
