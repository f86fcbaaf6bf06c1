"""The linear model: least squares with the results of R's `lm`."""
