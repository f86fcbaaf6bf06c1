# Makes the printed summaries of this directory: for each model a .txt (what R prints), a .json
# (the numbers printed, unrounded) and, for data not elsewhere in tests/, a .csv.gz.
# Run from the root of the repository: Rscript tests/expected/golden/make_golden.R [name ...]
source("tests/expected/reference/scripts/common.R")
data(Machines, Oxboys, Orthodont, ergoStool, package = "nlme")
directory <- "tests/expected/golden"
wanted <- commandArgs(trailingOnly = TRUE)
options(width = 80, digits = 7)

# What appears on the screen, messages in their place.
printed <- function(fit, ...) {
  # Named x: R's hint for many coefficients quotes the name.
  x <- if (isTRUE(list(...)$correlation)) summary(fit, correlation = TRUE) else summary(fit)
  capture.output(withCallingHandlers(print(x, ...), message = function(m) {
    cat(conditionMessage(m))
    invokeRestart("muffleMessage")
  }))
}

golden <- function(name, note, formula, data, data_name, REML = TRUE, weights = NULL, offset = NULL,
                   csv = NULL, restarts = 1, use = names(optimizers), ...) {
  if (length(wanted) && !name %in% wanted) return(invisible())
  if (is.null(csv)) {
    csv <- paste0(name, ".csv.gz")
    data <- through_csv(data, file.path(directory, csv))
  }
  arguments <- list(formula = formula, data = data, REML = REML)
  arguments$weights <- if (!is.null(weights)) as.name(weights)
  arguments$offset <- if (!is.null(offset)) as.name(offset)
  fit <- best_fit(arguments, restarts = restarts, use = use)
  call <- list(as.name("lmer"), formula = formula, data = as.name(data_name), REML = REML)
  call$weights <- arguments$weights
  call$offset <- arguments$offset
  fit@call <- as.call(call)
  text <- printed(fit, ...)
  writeLines(text, file.path(directory, paste0(name, ".txt")))
  write_case(c(
    list(
      case = name, source = versions, note = note, data_name = data_name, data = csv,
      factors = factor_levels(data), formula = paste(deparse(formula, width.cutoff = 500L), collapse = " "),
      REML = isREML(fit), weights = weights, offset = offset,
      print_arguments = c(structure(list(), names = character()), list(...))
    ),
    fit_json(fit),
    list(messages = I(as.character(unlist(fit@optinfo$conv$lme4$messages))), summary_text = text)
  ), directory)
  cat(sprintf("%-24s %.10g  noise %.1e\n", name, criterion(fit), attr(fit, "noise")))
}

from_reference <- function(name) {
  case <- jsonlite::read_json(sprintf("tests/expected/reference/%s.json", name), simplifyVector = TRUE)
  classes <- setNames(rep("character", length(case$factors)), names(case$factors))
  data <- read.csv(file.path("tests/expected/reference", case$data), colClasses = classes)
  for (f in names(case$factors)) data[[f]] <- factor(data[[f]], levels = case$factors[[f]])
  data
}

plain <- function(data) {
  data <- as.data.frame(data)
  data[] <- lapply(data, function(x) if (is.factor(x)) factor(x, ordered = FALSE) else x)
  data
}

sleep <- plain(sleepstudy)

# --- one factor, one fixed effect
golden("dyestuff", "one fixed effect, so no correlation; REML",
  Yield ~ 1 + (1 | Batch), plain(Dyestuff), "Dyestuff")
golden("dyestuff_ml", "the table of AIC, BIC, logLik, deviance, df.resid",
  Yield ~ 1 + (1 | Batch), plain(Dyestuff), "Dyestuff", REML = FALSE)
golden("dyestuff2_singular", "a variance of zero, and the lines on the optimizer and the boundary",
  Yield ~ 1 + (1 | Batch), plain(Dyestuff2), "Dyestuff2")

# --- correlated slopes and what may surround them
golden("sleepstudy", "correlated intercepts and slopes, REML",
  Reaction ~ Days + (Days | Subject), sleep, "sleepstudy")
golden("sleepstudy_ml", "the same by ML",
  Reaction ~ Days + (Days | Subject), sleep, "sleepstudy", REML = FALSE)
golden("sleepstudy_zcp", "||: two terms on one factor, the second called Subject.1, the groups counted once",
  Reaction ~ Days + (Days || Subject), sleep, "sleepstudy")
golden("sleepstudy_huge", "response times 1e6: exponents, aligned",
  Reaction ~ Days + (Days | Subject), transform(sleep, Reaction = Reaction * 1e6), "sleepstudy")
golden("sleepstudy_tiny", "response times 1e-6: exponents, negative criterion",
  Reaction ~ Days + (Days | Subject), transform(sleep, Reaction = Reaction * 1e-6), "sleepstudy")
golden("sleepstudy_tiny_ml", "response times 1e-6 by ML: negative AIC, positive logLik",
  Reaction ~ Days + (1 | Subject), transform(sleep, Reaction = Reaction * 1e-6), "sleepstudy", REML = FALSE)
set.seed(1)
golden("sleepstudy_weights_ml", "Weights: in the call",
  Reaction ~ Days + (Days | Subject), transform(sleep, w = sample(1:5, 180, TRUE)), "sleepstudy",
  REML = FALSE, weights = "w")
golden("sleepstudy_offset", "Offset: in the call",
  Reaction ~ Days + (1 | Subject), transform(sleep, known = 5 * Days), "sleepstudy", offset = "known")
golden("sleepstudy_weights_offset", "both lines",
  Reaction ~ Days + (1 | Subject), transform(sleep, known = 5 * Days, w = 1 + Days / 10), "sleepstudy",
  weights = "w", offset = "known")
golden("sleepstudy_offset_term", "an offset in the formula has no line of its own",
  Reaction ~ Days + offset(known) + (1 | Subject), transform(sleep, known = 5 * Days), "sleepstudy")
missing <- sleep
missing$Reaction[c(3, 50)] <- NA
missing$Days[77] <- NA
missing$Subject[120] <- NA
golden("sleepstudy_missing", "rows with missing response, covariate and group: R's summary does not mention them",
  Reaction ~ Days + (Days | Subject), missing, "sleepstudy")
golden("sleepstudy_log", "a transformed response",
  log(Reaction) ~ Days + (Days | Subject), sleep, "sleepstudy")
golden("sleepstudy_no_fixed", "no fixed effects at all: the table is left out; R turns REML into ML",
  Reaction ~ 0 + (1 | Subject), sleep, "sleepstudy")
golden("sleepstudy_slopes_only", "slopes without intercepts, fixed effect without intercept",
  Reaction ~ 0 + Days + (0 + Days | Subject), sleep, "sleepstudy")
golden("sleepstudy_extreme_units", "covariates of scales 1e-6 and 1e6 next to each other",
  Reaction ~ milli + mega + (1 | Subject),
  transform(sleep, milli = Days * 1e-6, mega = ((seq_len(180) * 37) %% 11) * 1e6), "sleepstudy")
golden("rank_deficient", "two aliased columns dropped: 'fit warnings:'",
  Reaction ~ Days + twice + plus + (1 | Subject), transform(sleep, twice = 2 * Days, plus = Days + 1), "sleepstudy")

# --- factors
golden("machines_no_intercept", "cell means, nested random effects",
  score ~ 0 + Machine + (1 | Worker/Machine), plain(Machines), "Machines")
golden("machines_factor_slopes", "three correlated random effects of a factor",
  score ~ Machine + (Machine | Worker), plain(Machines), "Machines")
golden("ergostool", "four levels of a fixed factor",
  effort ~ Type + (1 | Subject), plain(ergoStool), "ergoStool")
golden("orthodont_ml", "interaction of a covariate with a factor; negative correlation",
  distance ~ age * Sex + (age | Subject), plain(Orthodont), "Orthodont", REML = FALSE)
golden("oxboys_quadratic", "three correlated random effects, I() in the names",
  height ~ age + I(age^2) + (age + I(age^2) | Subject),
  plain(Oxboys)[c("height", "age", "Subject")], "Oxboys")
golden("cake_ml", "factor interaction, 18 fixed effects: abbreviated names, correlations wrap at 80 columns",
  angle ~ recipe * temperature + (1 | recipe:replicate), plain(cake), "cake", REML = FALSE, correlation = TRUE)

# --- several terms
golden("pastes_ml", "nested",
  strength ~ 1 + (1 | batch/cask), plain(Pastes)[c("strength", "batch", "cask")], "Pastes", REML = FALSE)
golden("penicillin", "crossed",
  diameter ~ 1 + (1 | plate) + (1 | sample), plain(Penicillin), "Penicillin")
golden("ham_long_names", "long coefficient names, abbreviated in the correlations",
  Informed.liking ~ Product * Information + Gender + (1 | Consumer) + (1 | Consumer:Product),
  from_reference("ham"), "ham")

set.seed(20)
n <- 400
two <- data.frame(
  subject = factor(rep(1:20, each = 20)), item = factor(rep(sprintf("i%02d", 1:10), 40)),
  x = round(rnorm(n), 3), z = round(runif(n), 3)
)
two$y <- with(two, round(3 + x - 2 * z + rnorm(20)[subject] + rnorm(20, sd = 0.7)[subject] * x +
  rnorm(10)[item] + rnorm(10, sd = 0.8)[item] * x + rnorm(10, sd = 1.1)[item] * z + rnorm(n, sd = 0.5), 4))
golden("two_vector_terms", "terms of two and three columns: the narrower leaves correlations blank",
  y ~ x + z + (x | subject) + (x + z | item), two, "ratings")
golden("three_terms_mixed", "scalar and vector-valued terms",
  y ~ x * z + (1 | item) + (0 + x | item) + (z | subject), two, "ratings", REML = FALSE)

set.seed(21)
four <- expand.grid(rep = 1:3, dose = factor(c("none", "low", "mid", "high"), c("none", "low", "mid", "high")), id = factor(1:25))
B <- matrix(rnorm(100), 25) %*% chol(0.5 + diag(c(1, 2, 0.3, 4)))
four$y <- round(10 + as.integer(four$dose) + B[cbind(as.integer(four$id), as.integer(four$dose))] + rnorm(300, sd = 0.6), 4)
golden("four_levels", "a 4 x 4 covariance: three columns of correlations",
  y ~ dose + (0 + dose | id), four[c("y", "dose", "id")], "trial")

set.seed(22)
line <- data.frame(id = factor(rep(1:12, each = 6)), time = rep(0:5, 12))
line$y <- round(with(line, 5 + time + (rnorm(12)[id]) * (1 + 0.5 * time) + rnorm(72)), 4)
golden("singular_correlation", "a correlation of 1 on the boundary",
  y ~ time + (time | id), line, "growth")
set.seed(23)
flat <- data.frame(id = factor(rep(1:10, each = 5)), time = rep(-2:2, 10))
e <- matrix(rnorm(50), 5)
e <- sweep(e, 2, colMeans(e)); e <- e - outer(-2:2, drop(crossprod(-2:2, e)) / 10)
flat$y <- round(20 + 0.5 * flat$time + as.vector(e), 4)
golden("singular_all_zero", "every random effect zero: correlation NaN, variances 0",
  y ~ time + (time | id), flat, "null_growth")

set.seed(24)
wide <- data.frame(g = factor(rep(1:15, each = 12)), h = factor(rep(1:12, 15)))
wide$y <- round(rnorm(15, sd = 15)[wide$g] + rnorm(12, sd = 0.02)[wide$h] + rnorm(180, sd = 0.05), 5)
golden("wide_variances", "variances five orders of magnitude apart: exponents",
  y ~ 1 + (1 | g) + (1 | h), wide, "wide")
set.seed(25)
partly <- data.frame(g = factor(rep(1:15, each = 12)), h = factor(rep(1:12, 15)))
partly$y <- round(rnorm(15, sd = 150)[partly$g] + as.vector(replicate(15, scale(rnorm(12)))), 5)
golden("one_variance_zero", "one of two variances zero",
  y ~ 1 + (1 | g) + (1 | h), partly, "partly")
set.seed(26)
exact <- data.frame(g = factor(rep(1:10, each = 8)), x = rep(1:8, 10))
exact$y <- round(1e4 + 123.456 * exact$x + rnorm(10, sd = 2e-4)[exact$g] + rnorm(80, sd = 1e-4), 8)
golden("nearly_exact", "t values in the millions",
  y ~ x + (1 | g), exact, "calibration")

# --- many fixed effects
set.seed(27)
field <- expand.grid(variety = factor(sprintf("V%02d", 1:24)), block = factor(paste0("B", 1:6)))
field$yield <- round(50 + rnorm(24, sd = 3)[field$variety] + rnorm(6, sd = 2)[field$block] + rnorm(144), 3)
golden("many_fixed", "24 fixed effects: R leaves the correlations out and says so",
  yield ~ variety + (1 | block), field, "field")
golden("many_fixed_correlation", "the same, correlations asked for: they wrap at 80 columns",
  yield ~ variety + (1 | block), field, "field", correlation = TRUE)
first <- function(k) droplevels(subset(field, as.integer(variety) <= k))
golden("twelve_fixed", "12 fixed effects: the most for which R shows the correlations",
  yield ~ variety + (1 | block), first(12), "field")
golden("thirteen_fixed_ml", "13 fixed effects: the least for which it does not",
  yield ~ variety + (1 | block), first(13), "field", REML = FALSE)
golden("three_fixed_hidden", "correlations refused",
  yield ~ variety + (1 | block), first(3), "field", correlation = FALSE)

# --- long names and lines
set.seed(28)
long <- data.frame(
  laboratory_of_the_consortium = factor(rep(sprintf("laboratory %d", 1:8), each = 30)),
  technician_on_duty = factor(rep(sprintf("technician %02d", 1:24), each = 10)),
  measurement_instrument_used = factor(rep(c("a", "b", "c", "d", "e"), 48)),
  concentration_of_the_reference_solution = round(runif(240), 3),
  temperature_of_the_laboratory_bench = round(rnorm(240, 20), 2),
  preparation = factor(rep(c("shaken at room temperature", "stirred overnight", "left to settle for two days"), 80))
)
long$measured_absorbance <- with(long, round(1 + 2 * concentration_of_the_reference_solution +
  rnorm(8)[laboratory_of_the_consortium] + rnorm(24, sd = 0.5)[technician_on_duty] +
  rnorm(5, sd = 0.3)[measurement_instrument_used] + rnorm(240, sd = 0.2), 4))
golden("long_names", "formula over several lines, groups on a line of their own, wide tables",
  measured_absorbance ~ concentration_of_the_reference_solution * preparation + temperature_of_the_laboratory_bench +
    (1 | laboratory_of_the_consortium/technician_on_duty) + (1 | measurement_instrument_used) +
    (1 | laboratory_of_the_consortium:measurement_instrument_used), long, "interlaboratory_study")

# --- many rows
chem <- from_reference("chem97")
golden("chem97_ml", "31,022 rows: values of the table of AIC in the hundred thousands",
  score ~ gcsecnt + (1 | lea) + (1 | school), chem, "Chem97", REML = FALSE,
  csv = "../reference/chem97.csv.gz", restarts = 0, use = c("nloptwrap", "bobyqa"))
golden("chem97_huge", "the same, response times 1e6, REML: a criterion of more than seven digits",
  I(score * 1e6) ~ gcsecnt + (1 | lea) + (1 | school), chem, "Chem97",
  csv = "../reference/chem97.csv.gz", restarts = 0, use = c("nloptwrap", "bobyqa"))
golden("scotssec_slopes", "a slope for one of two crossed factors",
  attain ~ verbal * sex + (verbal | primary) + (1 | second), from_reference("scotssec"), "ScotsSec",
  csv = "../reference/scotssec.csv.gz", restarts = 0)
