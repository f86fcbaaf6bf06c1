"""The teaching road from `lm` to `lmer`: linear models, one fit a group, and pooling compared."""
