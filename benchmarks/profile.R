# Profile intervals by lme4: seconds (the best of `repeats`) and ends, as CSV on standard output.
suppressPackageStartupMessages(library(lme4))
arguments <- commandArgs(trailingOnly = TRUE)
data <- read.csv(arguments[1], stringsAsFactors = TRUE)
for (name in strsplit(arguments[3], ",")[[1]]) data[[name]] <- factor(data[[name]])
model <- lmer(as.formula(arguments[2]), data)
seconds <- min(replicate(as.integer(arguments[4]), system.time(
  ends <<- suppressMessages(suppressWarnings(confint(model, oldNames = FALSE)))
)[["elapsed"]]))
cat(seconds, "\n")
write.table(format(ends, digits = 10), col.names = FALSE, row.names = FALSE, quote = FALSE)
