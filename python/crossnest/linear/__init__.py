"""The linear model: least squares with the answers of R's `lm`."""
