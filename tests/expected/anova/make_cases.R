# Makes cases.json and its data: lmerTest's tables of types I, II and III (with their hypotheses) and
# contrast tests, for designs that are unbalanced, rank deficient, or have empty cells.
# Run from the root of the repository: Rscript tests/expected/anova/make_cases.R
source("tests/expected/reference/scripts/common.R")
suppressPackageStartupMessages({
  library(lmerTest)
  library(splines)
})
directory <- "tests/expected/anova"
options(width = 80, digits = 7)
stay <- lmerControl(
  optimizer = at_start, calc.derivs = FALSE, restart_edge = FALSE, boundary.tol = 0,
  check.conv.grad = "ignore", check.conv.hess = "ignore", check.scaleX = "ignore"
)

set.seed(31)
n <- 150
trial <- data.frame(
  g = factor(sample(sprintf("g%02d", 1:14), n, TRUE)),
  a = factor(sample(c("p", "q"), n, TRUE, c(0.65, 0.35))),
  b = factor(sample(c("u", "v", "w"), n, TRUE, c(0.5, 0.3, 0.2))),
  c = factor(sample(c("k", "l", "m"), n, TRUE, c(0.2, 0.45, 0.35))),
  x = round(rnorm(n, 3), 2), z = round(runif(n, 1, 20), 1)
)
trial$o <- factor(as.character(trial$b), ordered = TRUE)
trial$late <- trial$z > 12
trial$twice <- 2 * trial$x
trial$y <- with(trial, round(10 + (a == "q") + 0.7 * (b == "v") * (a == "q") + 0.5 * x + 0.4 * x * (b == "w") +
  rnorm(14, sd = 0.9)[g] + rnorm(14, sd = 0.7)[g] * x + rnorm(n), 3))
hollow <- subset(trial, !(a == "q" & b == "w") & !(b == "u" & c == "k" & a == "p"))
data <- list(trial = trial, hollow = hollow)
# Logical columns are written as they are, and read back as such.
for (name in names(data)) data[[name]] <- through_csv(data[[name]], file.path(directory, paste0(name, ".csv.gz")))

table_json <- function(t) c(list(terms = I(rownames(t))), lapply(as.list(as.data.frame(t)), I))
numbers <- function(m) lapply(seq_len(nrow(m)), function(i) I(unname(m[i, ])))

case <- function(name, set, fixed, random = "(1 | g)", REML = TRUE, contrasts = NULL, kr = FALSE, contests = NULL) {
  formula <- as.formula(paste("y ~", fixed, "+", random))
  a <- list(formula = formula, data = data[[set]], REML = REML)
  a$contrasts <- contrasts
  best <- best_fit(a, restarts = 0)
  fit <- suppressMessages(suppressWarnings(do.call(lmerTest::lmer, c(a, list(control = stay, start = getME(best, "theta"))))))
  tables <- lapply(1:3, function(type) suppressMessages(anova(fit, type = type)))
  out <- list(
    case = name, data = set, formula = paste("y ~", fixed, "+", random), REML = REML, contrasts = contrasts,
    theta = I(unname(getME(fit, "theta"))), coefficients = I(names(fixef(fit))), estimates = I(unname(fixef(fit))),
    tables = lapply(tables, table_json),
    hypotheses = lapply(tables, function(t) lapply(attr(t, "hypotheses"), numbers)),
    text = I(capture.output(print(tables[[3]])))
  )
  if (kr) out$kenward_roger <- table_json(suppressMessages(anova(fit, type = 3, ddf = "Kenward-Roger")))
  out$contests <- lapply(contests, function(k) {
    result <- lapply(c("Satterthwaite", "Kenward-Roger"), function(ddf) {
      list(joint = as.list(contestMD(fit, k$L, rhs = k$rhs, ddf = ddf)),
        single = lapply(seq_len(nrow(k$L)), function(i)
          as.list(contest1D(fit, k$L[i, ], rhs = k$rhs[i], ddf = ddf, confint = TRUE))))
    })
    list(L = numbers(k$L), rhs = I(k$rhs), satterthwaite = result[[1]], kenward_roger = result[[2]])
  })
  cat(sprintf("%-28s %.8g\n", name, criterion(fit)))
  out
}

cases <- list(
  case("two_factors", "trial", "a * b", kr = TRUE, contests = list(
    list(L = rbind(c(0, 1, 0, 0, 0, 0), c(0, 0, 1, -1, 0, 0)), rhs = c(0, 0)),
    list(L = rbind(c(0, 1, 0, 0, 0.5, 0), c(0, 0, 1, 0, 0, 1), c(1, 0, 0, 0, 0, 0)), rhs = c(0.5, -0.2, 9)),
    list(L = rbind(c(0, 0, 0, 0, 1, -2)), rhs = 1)
  )),
  case("two_factors_ml", "trial", "a * b", REML = FALSE),
  case("random_slopes", "trial", "a * b + x", "(0 + x | g)", kr = TRUE, contests = list(
    list(L = rbind(c(0, 1, 0, 0, 0, 0, 0), c(0, 0, 0, 0, 1, 0, 0)), rhs = c(0, 0.4))
  )),
  case("main_effects", "trial", "a + b + x"),
  case("covariate_interactions", "trial", "a * b * x"),
  case("covariate_by_one_factor", "trial", "a * x + b"),
  case("slopes_only_differ", "trial", "x + a:x"),
  case("separate_slopes", "trial", "b + b:x"),
  case("separate_lines", "trial", "0 + b + b:x"),
  case("slopes_without_intercept", "trial", "0 + x + x:b"),
  case("cells", "trial", "a:b"),
  case("nested", "trial", "b + a:b"),
  case("no_intercept", "trial", "0 + a * b"),
  case("no_intercept_main", "trial", "0 + a + b"),
  case("polynomial", "trial", "poly(x, 2) * a"),
  case("polynomial_two", "trial", "poly(x, 2) + a * z"),
  case("spline", "trial", "bs(x, df = 4) + a * b"),
  case("sum_contrasts", "trial", "a * b", contrasts = list(a = "contr.sum", b = "contr.helmert")),
  case("ordered", "trial", "a * o"),
  case("ordered_and_covariate", "trial", "x * o + c"),
  case("functions", "trial", "log(z) * a + I(x^2) + x"),
  case("two_covariates", "trial", "x * z + a"),
  case("logical", "trial", "late * b"),
  case("three_factors", "trial", "a * b * c"),
  case("three_factors_part", "trial", "a * b + b * c + x"),
  case("four_terms_reversed", "trial", "b:c + a + c"),
  case("aliased_covariate", "trial", "a + x + twice"),
  case("aliased_interaction", "trial", "x * a + twice:a"),
  case("empty_cell", "hollow", "a * b"),
  case("empty_cell_and_covariate", "hollow", "x + a * b"),
  case("empty_cells_three_way", "hollow", "a * b * c"),
  case("empty_cells_sum", "hollow", "a * b", contrasts = list(a = "contr.sum", b = "contr.sum")),
  case("empty_cells_ordered", "hollow", "a * o"),
  case("one_term", "trial", "b"),
  case("covariate_alone", "trial", "0 + x"),
  case("intercept_alone", "trial", "1")
)
factors <- lapply(data, factor_levels)
json <- list(
  source = sprintf("%s, lmerTest %s, pbkrtest %s", versions, packageVersion("lmerTest"), packageVersion("pbkrtest")),
  factors = factors, ordered = I("o"), cases = cases
)
jsonlite::write_json(json, file.path(directory, "cases.json"), auto_unbox = TRUE, digits = NA, null = "null", na = "null")
