# A process that fits models with lme4, one request a line on stdin: see fit_python.py.

suppressPackageStartupMessages({
  library(lme4)
  library(data.table)
})

# Megabytes of a field of /proc/self/status.
status <- function(field) {
  if (!file.exists("/proc/self/status")) return(NaN)
  line <- grep(paste0("^", field, ":"), readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line)) / 1024
}

# Lets the peak start again from the memory resident now.
reset_peak <- function() {
  if (file.exists("/proc/self/clear_refs")) cat("5", file = "/proc/self/clear_refs")
}

load_data <- function(path, factors) {
  data <- as.data.frame(fread(path))
  for (name in strsplit(factors, ",")[[1]]) data[[name]] <- factor(data[[name]])
  data
}

numbers <- function(x) paste(format(x, digits = 17, trim = TRUE), collapse = ",")

timed_fit <- function(data, formula) {
  formula <- as.formula(formula, env = globalenv())
  invisible(gc())
  reset_peak()
  before <- status("VmRSS")
  start <- Sys.time()  # microseconds; proc.time() counts milliseconds
  model <- suppressMessages(suppressWarnings(lmer(formula, data)))
  seconds <- as.numeric(Sys.time() - start, units = "secs")
  peak <- status("VmHWM")
  errors <- sqrt(diag(as.matrix(vcov(model))))
  paste(c(numbers(seconds), numbers(REMLcrit(model)), numbers(fixef(model)), numbers(errors),
          numbers(before), numbers(peak)), collapse = "\t")
}

describe <- function() {
  sprintf("lme4 %s, R %s, BLAS %s", packageVersion("lme4"), getRversion(),
          sessionInfo()$BLAS)
}

requests <- file("stdin", "r")
data <- NULL
while (length(line <- readLines(requests, 1)) > 0) {
  fields <- strsplit(line, "\t")[[1]]
  answer <- switch(fields[1],
    load = {
      data <- load_data(fields[2], fields[3])
      nrow(data)
    },
    fit = timed_fit(data, fields[2]),
    describe()
  )
  cat(answer, "\n", sep = "")
  flush(stdout())
}
