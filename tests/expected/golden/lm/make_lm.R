# Makes lm.json, R's linear models of bundled data sets, from the root of the repository:
# Rscript tests/expected/golden/lm/make_lm.R
suppressPackageStartupMessages({
  library(lme4)
  library(jsonlite)
})
options(width = 80, digits = 7)

# Roots, because R's last digit of a mean of decimals is that of its rounding errors.
sleep <- transform(sleepstudy, root = sqrt(Reaction), w = 1 + Days, o = 10 * Days, twice = 2 * Days)
data(Machines, package = "nlme")
machines <- transform(as.data.frame(Machines), root = sqrt(score), Worker = factor(Worker, ordered = FALSE))

# name: data, rows (first to last), formula and other arguments of R, new data
cases <- list(
  pooled = list("sleep", NULL, Reaction ~ Days, new = data.frame(Days = c(0, 4.5, 12))),
  group_as_fixed_effect = list("sleep", NULL, root ~ Subject + Days,
    new = data.frame(Days = c(0, 4.5), Subject = c("308", "372"))),
  varying_slopes = list("sleep", NULL, Reaction ~ Days:Subject,
    new = data.frame(Days = c(0, 4.5), Subject = c("308", "372"))),
  quadratic = list("sleep", NULL, Reaction ~ Days + I(Days^2), new = data.frame(Days = 2:3)),
  weighted = list("sleep", NULL, Reaction ~ Days, weights = "w", new = data.frame(Days = 2:3)),
  offset = list("sleep", NULL, Reaction ~ Days, offset = "o", new = data.frame(Days = 2:3, o = c(20, 30))),
  weighted_offset = list("sleep", NULL, Reaction ~ Subject * Days, weights = "w", offset = "o"),
  aliased = list("sleep", NULL, root ~ Days + twice + Subject),
  no_intercept = list("sleep", NULL, Reaction ~ 0 + Days, new = data.frame(Days = 2:3)),
  intercept_only = list("sleep", NULL, Reaction ~ 1),
  nothing = list("sleep", 1:8, Reaction ~ 0),
  few_rows = list("sleep", 1:5, Reaction ~ Days, new = data.frame(Days = 2:3)),
  saturated = list("sleep", 1:3, Reaction ~ Days + I(Days^2)),
  saturated_aliased = list("sleep", 1:2, Reaction ~ Days + twice + I(Days^2)),
  ordered_factor = list("cake", NULL, angle ~ recipe * temperature),
  cell_means = list("machines", NULL, root ~ 0 + Machine:Worker),
  two_factors = list("machines", NULL, root ~ Machine * Worker)
)

describe <- function(name, case) {
  data <- get(case[[1]])
  if (!is.null(case[[2]])) data <- data[case[[2]], ]
  call <- list(as.name("lm"), formula = case[[3]], data = as.name(case[[1]]))
  for (argument in c("weights", "offset")) {
    if (!is.null(case[[argument]])) call[[argument]] <- as.name(case[[argument]])
  }
  assign(case[[1]], data)
  fit <- eval(as.call(call))
  s <- suppressWarnings(summary(fit))
  known <- !is.na(coef(fit))
  tests <- if (fit$df.residual > 0 && fit$rank > 0) suppressWarnings(anova(fit)) else NULL
  predictions <- if (!is.null(case$new)) {
    lapply(c(confidence = "confidence", prediction = "prediction"), function(interval) {
      p <- suppressWarnings(predict(fit, case$new, se.fit = TRUE, interval = interval, level = 0.9))
      unname(cbind(p$fit[, 1], p$se.fit, p$fit[, 2:3, drop = FALSE]))
    })
  }
  list(
    name = name, data = case[[1]], n_rows = if (is.null(case[[2]])) NULL else length(case[[2]]),
    formula = paste(deparse(case[[3]], 500), collapse = ""),
    weights = case$weights, offset = case$offset,
    names = I(as.character(names(coef(fit)))), known = I(as.logical(known)),
    coefficients = unname(coef(s)), confint = if (any(known)) unname(confint(fit)[known, , drop = FALSE]) else NULL,
    vcov = if (any(known)) unname(vcov(fit, complete = FALSE)) else NULL,
    sigma = s$sigma, df = fit$df.residual, r2 = s$r.squared, adj_r2 = s$adj.r.squared,
    f = if (is.null(s$fstatistic)) NULL else unname(s$fstatistic),
    logLik = as.numeric(logLik(fit)), AIC = AIC(fit), BIC = BIC(fit),
    anova = if (is.null(tests)) NULL else unname(as.matrix(tests)),
    new = case$new, predictions = predictions,
    summary_text = I(capture.output(suppressWarnings(print(s)))),
    text = I(capture.output(print(fit))),
    anova_text = if (is.null(tests)) NULL else I(capture.output(print(tests)))
  )
}

describe_list <- function(pool) {
  fits <- lme4::lmList(Reaction ~ Days | Subject, sleepstudy, pool = pool)
  again <- nlme::lmList(Reaction ~ Days | Subject, sleepstudy, pool = pool)
  s <- summary(again)
  list(
    pool = pool, levels = I(names(fits)), coef = unname(as.matrix(coef(fits))),
    se = unname(summary(fits)$coefficients[, 2, ]),
    p = unname(if (pool) s$coefficients[, 4, ] else t(sapply(fits, function(m) coef(summary(m))[, 4]))),
    confint = lapply(1:2, function(j) unname(confint(fits, pool = pool)[, , j])),
    sigmas = unname(sapply(fits, sigma)), sigma = unname(c(pooled <- lme4:::pooledSD(fits))),
    df = attr(pooled, "df"), summary_text = I(capture.output(print(s)))
  )
}

versions <- list(R = R.version.string, lme4 = as.character(packageVersion("lme4")), nlme = as.character(packageVersion("nlme")))
result <- list(
  versions = versions, lm = unname(Map(describe, names(cases), cases)),
  lm_list = list(describe_list(TRUE), describe_list(FALSE))
)
write_json(result, "tests/expected/golden/lm/lm.json", digits = NA, auto_unbox = TRUE, null = "null", na = "null", pretty = FALSE)
