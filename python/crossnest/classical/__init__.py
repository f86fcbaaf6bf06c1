"""From `lm` to `lmer`, for teaching: linear models, one fit per group, and pooling compared."""
