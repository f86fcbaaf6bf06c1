# Makes tests/expected/golden/lmertest: the summaries lmerTest prints for fits of tests/expected/golden and
# tests/expected/reference, refitted at the theta found there. For each a .json with the table of coefficients,
# unrounded, and the text by lines.
# Run from the root of the repository: Rscript tests/expected/golden/make_lmertest.R [name ...]
source("tests/expected/reference/scripts/common.R")
suppressPackageStartupMessages(library(lmerTest))
directory <- "tests/expected/golden/lmertest"
wanted <- commandArgs(trailingOnly = TRUE)
options(width = 80, digits = 7)
source_text <- sprintf("%s, lmerTest %s, pbkrtest %s", versions, packageVersion("lmerTest"), packageVersion("pbkrtest"))
stay <- lmerControl(
  optimizer = at_start, calc.derivs = FALSE, restart_edge = FALSE, boundary.tol = 0,
  check.conv.grad = "ignore", check.conv.hess = "ignore", check.scaleX = "ignore"
)

printed <- function(x, ...) {
  capture.output(withCallingHandlers(print(x, ...), message = function(m) {
    cat(conditionMessage(m))
    invokeRestart("muffleMessage")
  }))
}

read_data <- function(case, folder) {
  path <- file.path(folder, case$data)
  first <- read.csv(path, nrows = 1, check.names = FALSE)
  classes <- ifelse(names(first) %in% names(case$factors), "character", NA)
  data <- read.csv(path, colClasses = classes, check.names = FALSE)
  for (f in names(case$factors)) {
    data[[f]] <- factor(data[[f]], levels = case$factors[[f]], ordered = f %in% case$ordered)
  }
  data
}

golden <- function(base, ddf, name) {
  if (length(wanted) && !name %in% wanted) return(invisible())
  folder <- file.path("tests", dirname(base))
  case <- jsonlite::read_json(file.path(folder, paste0(basename(base), ".json")), simplifyVector = TRUE)
  data <- read_data(case, folder)
  data_name <- case$data_name
  if (is.null(data_name)) data_name <- sub("   Data: ", "", grep("^   Data: ", case$summary_text, value = TRUE))
  a <- list(formula = as.formula(case$formula), data = data, REML = case$REML, control = stay)
  if (length(case$theta)) a$start <- unlist(case$theta)
  a$weights <- if (!is.null(case$weights)) as.name(case$weights)
  a$offset <- if (!is.null(case$offset)) as.name(case$offset)
  fit <- suppressMessages(suppressWarnings(do.call(lmerTest::lmer, a)))
  stopifnot(abs(criterion(fit) - case$criterion) < 1e-5 * max(1, abs(case$criterion) * 1e-3))
  correlation <- case$print_arguments$correlation
  x <- if (isTRUE(correlation)) summary(fit, ddf = ddf, correlation = TRUE) else summary(fit, ddf = ddf)
  x$optinfo$optimizer <- "nloptwrap"
  call <- list(as.name("lmer"), formula = a$formula, data = as.name(data_name), REML = case$REML)
  call$weights <- a$weights
  call$offset <- a$offset
  x$call <- as.call(call)
  table <- x$coefficients
  json <- list(
    case = name, source = source_text, base = base, ddf = tolower(ddf),
    columns = colnames(table), coefficients = unname(table),
    summary_text = if (is.null(correlation)) printed(x) else printed(x, correlation = correlation)
  )
  write_case(json, directory)
  cat(sprintf("%-30s %s\n", name, ddf))
}

for (path in c(Sys.glob("tests/expected/golden/*.json"), file.path("tests/expected/reference", paste0(
  c("ham", "cake_temp", "machines", "orthodont", "beets", "chem97", "sleepstudy_quad", "scotssec"), ".json"
)))) {
  base <- sub("^tests/", "", sub("[.]json$", "", path))
  own <- gsub("/", "_", sub("^golden/", "", base))
  golden(base, "Satterthwaite", own)
  small <- c("sleepstudy", "ham_long_names", "machines_factor_slopes", "sleepstudy_zcp", "ergostool",
    "penicillin", "sleepstudy_tiny", "machines_no_intercept", "twelve_fixed", "reference_cake_temp", "rank_deficient")
  if (own %in% small) golden(base, "Kenward-Roger", paste0(own, "_kr"))
}
