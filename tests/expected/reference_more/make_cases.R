# Makes the cases of this directory: simulated data on which fitting is hard.
# Run from the root of the repository: Rscript tests/expected/reference_more/make_cases.R [name ...]
source("tests/expected/reference/scripts/common.R")
directory <- "tests/expected/reference_more"
wanted <- commandArgs(trailingOnly = TRUE)

# seed: of the simulation; simulate: a function that makes the data frame.
case <- function(name, note, formula, seed, simulate, REML = TRUE, weights = NULL, offset = NULL,
                 restarts = 1, use = names(optimizers), starts = list()) {
  if (length(wanted) && !name %in% wanted) return(invisible())
  set.seed(seed)
  csv <- paste0(name, ".csv.gz")
  data <- through_csv(simulate(), file.path(directory, csv))
  arguments <- list(formula = formula, data = data, REML = REML)
  arguments$weights <- if (!is.null(weights)) as.name(weights)
  arguments$offset <- if (!is.null(offset)) as.name(offset)
  if (is.function(starts)) starts <- starts(data, REML)
  fit <- best_fit(arguments, restarts = restarts, use = use, starts = starts)
  write_case(c(
    list(
      case = name, source = versions, note = note, data = csv, factors = factor_levels(data),
      formula = paste(deparse(formula, width.cutoff = 500L), collapse = " "), REML = isREML(fit),
      weights = weights, offset = offset
    ),
    replace(fit_json(fit, full = FALSE), "singular", singular(fit)),
    list(noise = attr(fit, "noise"), excess = as.list(attr(fit, "excess")))
  ), directory)
  cat(sprintf(
    "%-22s n %5d  %.10g %s noise %.0e  excess %s\n", name, nobs(fit), criterion(fit),
    if (singular(fit)) "singular" else "", attr(fit, "noise"),
    paste(sprintf("%.0e", attr(fit, "excess")), collapse = " ")
  ))
}

# A standard deviation of zero or a correlation matrix without full rank. (isSingular() compares
# theta with 1e-4, so that it changes with the units of a covariate.)
singular <- function(fit) {
  any(vapply(VarCorr(fit), function(v) {
    any(attr(v, "stddev") == 0) || min(eigen(attr(v, "correlation"), only.values = TRUE)$values) < 1e-9
  }, NA))
}

crossed <- function(g, h, each = 1) {
  d <- expand.grid(rep = seq_len(each), h = factor(seq_len(h)), g = factor(seq_len(g)))
  d[c("g", "h")]
}
# Rows of correlated normal effects, one row a level.
effects <- function(levels, covariance) {
  matrix(rnorm(levels * ncol(covariance)), levels) %*% chol(covariance)
}
covariance <- function(sd, correlation) {
  outer(sd, sd) * (correlation + diag(1 - correlation, length(sd)))
}

# --- vector-valued crossed terms
two_vectors <- function() {
  d <- crossed(30, 20)
  d$x <- round(rnorm(600), 3)
  g <- effects(30, covariance(c(1, 0.5), 0.3))
  h <- effects(20, covariance(c(0.7, 0.9), -0.5))
  d$y <- round(1 + 0.5 * d$x + g[d$g, 1] + g[d$g, 2] * d$x + h[d$h, 1] + h[d$h, 2] * d$x + rnorm(600), 4)
  d
}
case("crossed_vectors", "correlated slopes for two crossed factors",
  y ~ x + (1 + x | g) + (1 + x | h), 1, two_vectors)
case("crossed_vectors_ml", "the same by ML",
  y ~ x + (1 + x | g) + (1 + x | h), 1, two_vectors, REML = FALSE)

psycholinguistics <- function(subjects, items, sd_subject, sd_item) {
  function() {
    d <- expand.grid(item = factor(seq_len(items)), subject = factor(seq_len(subjects)), a = c(-0.5, 0.5), b = c(-0.5, 0.5))
    X <- cbind(1, d$a, d$b, d$a * d$b)
    s <- effects(subjects, covariance(sd_subject, 0.3))
    i <- effects(items, covariance(sd_item, 0.2))
    d$rt <- round(500 + 30 * d$a - 15 * d$b + rowSums(X * s[d$subject, ]) + rowSums(X * i[d$item, ]) + rnorm(nrow(d), sd = 60), 2)
    d[c("rt", "a", "b", "subject", "item")]
  }
}
case("maximal_singular", "maximal model of a 2 x 2 within design, few subjects and items, hardly any variance of slopes: singular",
  rt ~ a * b + (a * b | subject) + (a * b | item), 2,
  psycholinguistics(12, 8, c(50, 10, 1, 1), c(20, 1, 5, 1)))
case("maximal_regular", "maximal model with variance in every direction",
  rt ~ a * b + (a * b | subject) + (a * b | item), 3,
  psycholinguistics(30, 20, c(60, 40, 40, 60), c(40, 30, 30, 50)))
case("maximal_diagonal", "the maximal model without correlations",
  rt ~ a * b + (a * b || subject) + (a * b || item), 2,
  psycholinguistics(12, 8, c(50, 10, 1, 1), c(20, 1, 5, 1)))

# --- sparse crossing
pairs <- function(g, h, n, sd = c(1, 0.7, 1)) {
  function() {
    d <- data.frame(g = factor(c(seq_len(g), sample(g, n - g, TRUE))), h = factor(c(sample(h, n - h, TRUE), seq_len(h))))
    d$x <- round(rnorm(n), 3)
    d$y <- round(2 + 0.3 * d$x + rnorm(g, sd = sd[1])[d$g] + rnorm(h, sd = sd[2])[d$h] + rnorm(n, sd = sd[3]), 4)
    d
  }
}
case("partially_crossed", "200 pupils, 40 teachers, few rows a pair",
  y ~ x + (1 | g) + (1 | h), 4, pairs(200, 40, 900))
case("sparse_sparse", "two large factors, 3,000 rows: neither block is small or dense",
  y ~ x + (1 | g) + (1 | h), 5, pairs(400, 300, 3000))
case("sparse_slopes", "correlated slopes on one of two sparsely crossed factors",
  y ~ x + (x | g) + (1 | h), 6, pairs(150, 120, 1500), restarts = 0)
case("five_crossed", "five crossed factors, some with variance zero",
  y ~ 1 + (1 | f1) + (1 | f2) + (1 | f3) + (1 | f4) + (1 | f5), 7, function() {
    d <- as.data.frame(lapply(c(f1 = 25, f2 = 18, f3 = 12, f4 = 7, f5 = 4), function(k) factor(sample(k, 500, TRUE))))
    d$y <- round(rnorm(25)[d$f1] + rnorm(18, sd = 0.5)[d$f2] + rnorm(7, sd = 0.3)[d$f4] + rnorm(500), 4)
    d
  })
case("crossed_interaction", "two factors and their interaction",
  y ~ 1 + (1 | g) + (1 | h) + (1 | g:h), 8, function() {
    d <- crossed(12, 9, 3)
    d$y <- round(rnorm(12)[d$g] + rnorm(9, sd = 0.5)[d$h] + rnorm(108, sd = 0.8)[d$g:d$h] + rnorm(nrow(d), sd = 0.6), 4)
    d
  })

# --- nested
schools <- function() {
  d <- expand.grid(pupil = 1:6, class = factor(1:5), school = factor(1:20))
  d <- d[sort(sample(nrow(d), 480)), ]
  d$x <- round(rnorm(480), 3)
  s <- effects(20, covariance(c(2, 1), 0.4))
  k <- effects(100, covariance(c(1, 0.6), -0.3))
  room <- as.integer(d$school:d$class)
  d$y <- round(10 + 2 * d$x + s[d$school, 1] + s[d$school, 2] * d$x + k[room, 1] + k[room, 2] * d$x + rnorm(480), 4)
  d[c("y", "x", "school", "class")]
}
case("nested_slopes", "slopes at two levels of nesting", y ~ x + (x | school/class), 9, schools)
case("nested_slopes_ml", "the same by ML", y ~ x + (x | school/class), 9, schools, REML = FALSE)
case("nested_three", "three levels of nesting, unbalanced",
  y ~ 1 + (1 | a/b/c), 10, function() {
    d <- expand.grid(rep = 1:4, c = factor(1:3), b = factor(1:4), a = factor(1:8))
    d <- d[sort(sample(nrow(d), 250)), ]
    d$y <- round(rnorm(8)[d$a] + rnorm(32, sd = 0.8)[d$a:d$b] + rnorm(96, sd = 0.5)[d$a:d$b:d$c] + rnorm(250, sd = 0.7), 4)
    d[c("y", "a", "b", "c")]
  })

# --- on the boundary
case("zero_variance", "one of two variances zero",
  y ~ x + (1 | g) + (1 | h), 11, function() {
    d <- crossed(20, 12)
    d$x <- round(rnorm(240), 3)
    e <- rnorm(240)
    d$y <- round(d$x + rnorm(20)[d$g] + e - 0.8 * ave(e, d$h), 4)
    d
  })
case("negative_intraclass", "values of a group more different than by chance: singular",
  y ~ x + (1 | g), 12, function() {
    d <- data.frame(g = factor(rep(1:20, each = 4)), x = round(rnorm(80), 3))
    e <- matrix(rnorm(80), 4)
    d$y <- round(3 + d$x + as.vector(sweep(e, 2, 0.9 * colMeans(e))), 4)
    d
  })
case("all_slopes_zero", "no variance at all, correlated terms",
  y ~ x + (x | g), 13, function() {
    d <- data.frame(g = factor(rep(1:15, each = 6)), x = rep(-2:3, 15))
    e <- matrix(rnorm(90), 6)
    d$y <- round(as.vector(apply(e, 2, function(v) resid(lm(v ~ d$x[1:6])))) + 0.3 * d$x, 4)
    d
  })
case("correlation_near_minus_one", "a correlation of -0.99 inside the boundary",
  y ~ x + (x | g), 14, function() {
    d <- data.frame(g = factor(rep(1:40, each = 8)), x = rep(seq(0, 3.5, 0.5), 40))
    b <- effects(40, covariance(c(2, 1), -0.985))
    d$y <- round(b[d$g, 1] + (1 + b[d$g, 2]) * d$x + rnorm(320, sd = 0.3), 4)
    d
  })

# --- weights and unbalance
case("weights_six_orders", "weights from 0.001 to 1000",
  y ~ x + (x | g), 15, function() {
    d <- data.frame(g = factor(rep(1:25, each = 8)), x = round(rnorm(200), 3), w = signif(10^runif(200, -3, 3), 4))
    d$y <- round(1 + d$x + rnorm(25)[d$g] + rnorm(25, sd = 0.5)[d$g] * d$x + rnorm(200) / sqrt(d$w), 4)
    d
  }, weights = "w")
case("weights_offset_ml", "weights, offset and missing values together",
  y ~ x + (1 | g) + (1 | h), 16, function() {
    d <- pairs(20, 10, 200)()
    d$w <- sample(c(0.5, 1, 2, 4), 200, TRUE)
    d$known <- round(runif(200, 0, 5), 2)
    d$y <- d$y + d$known
    d$y[c(5, 80)] <- NA; d$x[33] <- NA; d$known[150] <- NA
    d
  }, weights = "w", offset = "known", REML = FALSE)
case("singletons", "group sizes from 1 to 30, most of them 1",
  y ~ x + (1 | g), 17, function() {
    sizes <- c(rep(1, 60), rep(2, 15), 3:8, 15, 30)
    d <- data.frame(g = factor(rep(seq_along(sizes), sizes)))
    d$x <- round(rnorm(nrow(d)), 3)
    d$y <- round(d$x + rnorm(length(sizes))[d$g] + rnorm(nrow(d), sd = 0.8), 4)
    d
  })
case("singletons_slopes", "slopes with many groups too small to have one",
  y ~ x + (x | g), 18, function() {
    sizes <- c(rep(1, 40), rep(2, 20), rep(3, 10), rep(6, 10))
    d <- data.frame(g = factor(rep(seq_along(sizes), sizes)))
    d$x <- round(rnorm(nrow(d)), 3)
    b <- effects(80, covariance(c(1, 0.7), 0.2))
    d$y <- round(d$x + b[d$g, 1] + b[d$g, 2] * d$x + rnorm(nrow(d), sd = 0.5), 4)
    d
  })
case("few_levels", "factors of two and three levels",
  y ~ x + (1 | g) + (1 | h), 19, function() {
    d <- crossed(3, 2, 8)
    d$x <- round(rnorm(48), 3)
    d$y <- round(c(0, 2, 5)[d$g] + c(0, 1)[d$h] + d$x + rnorm(48), 4)
    d
  })
case("nearly_as_many_groups", "95 groups in 100 rows",
  y ~ 1 + (1 | g), 20, function() {
    d <- data.frame(g = factor(c(1:95, 1:5)))
    d$y <- round(rnorm(95)[d$g] + rnorm(100, sd = 0.5), 4)
    d
  })
case("saturated_fixed", "half as many fixed effects as rows",
  y ~ f + (1 | g), 21, function() {
    d <- data.frame(f = factor(rep(1:20, 2)), g = factor(sample(8, 40, TRUE)))
    d$y <- round(rnorm(20, sd = 3)[d$f] + rnorm(8)[d$g] + rnorm(40, sd = 0.5), 4)
    d
  })

# --- factors as slopes, several terms on one factor
conditions <- function() {
  d <- expand.grid(rep = 1:4, f = factor(c("p", "q", "r", "s")), g = factor(1:24))
  b <- effects(24, covariance(c(1, 1.5, 0.5, 2), 0.5))
  d$y <- round(as.integer(d$f) + b[cbind(as.integer(d$g), as.integer(d$f))] + rnorm(nrow(d)), 4)
  d[sort(sample(nrow(d), 330)), c("y", "f", "g")]
}
case("factor_slopes", "a 4 x 4 covariance from a factor", y ~ f + (f | g), 22, conditions)
case("factor_cells", "the same without intercept", y ~ 0 + f + (0 + f | g), 22, conditions)
case("factor_scalar", "its compound-symmetric relative", y ~ f + (1 | g) + (1 | g:f), 22, conditions, REML = FALSE)
growth <- function() {
  d <- data.frame(g = factor(rep(1:30, each = 7)), x = rep(0:6, 30), z = round(rnorm(210), 3))
  d$y <- round(5 + d$x + rnorm(30, sd = 2)[d$g] + rnorm(30, sd = 0.4)[d$g] * d$x + rnorm(30, sd = 0.6)[d$g] * d$z + rnorm(210), 4)
  d
}
case("split_terms", "three scalar terms on one factor",
  y ~ x + z + (1 | g) + (0 + x | g) + (0 + z | g), 23, growth)
case("split_vector_terms", "a vector-valued and a scalar term on one factor",
  y ~ x + z + (x | g) + (0 + z | g), 23, growth)
case("cubic_slopes", "strongly correlated columns: a cubic for each level",
  y ~ x + I(x^2) + I(x^3) + (x + I(x^2) + I(x^3) | g), 24, function() {
    d <- data.frame(g = factor(rep(1:25, each = 10)), x = rep(seq(0, 1.8, 0.2), 25))
    P <- cbind(1, poly(d$x[1:10], 3))
    b <- effects(25, covariance(c(2, 1, 0.8, 0.6), 0.2))
    d$y <- round(as.vector(P %*% t(b)) + d$x + rnorm(250, sd = 0.3), 4)
    d
  })
case("serial_correlation", "first-order autoregressive residuals, which a slope has to imitate",
  y ~ x + (x | g), 25, function() {
    d <- data.frame(g = factor(rep(1:20, each = 12)), x = rep(0:11, 20))
    d$y <- round(as.vector(replicate(20, rnorm(1) + arima.sim(list(ar = 0.8), 12))) + 0.1 * d$x, 4)
    d
  })

# --- scales and origins: the fit to x, moved to x + shift, is a start for the fit to x + shift
shifted <- function(shift) function() transform(growth()[c("y", "x", "g")], x = x + shift)
from_origin <- function(shift) {
  function(data, REML) {
    at_zero <- transform(data, x = x - shift)
    fit <- best_fit(list(formula = y ~ x + (x | g), data = at_zero, REML = REML))
    theta <- getME(fit, "theta")
    L <- rbind(c(1, -shift), c(0, 1)) %*% rbind(c(theta[1], 0), theta[2:3])
    moved <- t(chol(tcrossprod(L)))
    list(moved[lower.tri(moved, diag = TRUE)])
  }
}
case("origin_0", "slopes over 0 to 6", y ~ x + (x | g), 26, shifted(0))
case("origin_1000", "the same over 1000 to 1006: intercepts far from the data", y ~ x + (x | g), 26, shifted(1000),
  starts = from_origin(1000))
case("scale_1e4", "the same over 0 to 60,000", y ~ x + (x | g), 26, function() transform(growth()[c("y", "x", "g")], x = x * 1e4))
case("scale_1e-4", "the same over 0 to 0.0006", y ~ x + (x | g), 26, function() transform(growth()[c("y", "x", "g")], x = x * 1e-4))
case("response_1e6", "the same with a response in millionths", y ~ x + (x | g), 26, function() transform(growth()[c("y", "x", "g")], y = y * 1e6))
case("strong_signal", "between groups a thousand times the residual deviation",
  y ~ x + (1 | g), 27, function() {
    d <- data.frame(g = factor(rep(1:20, each = 5)), x = round(rnorm(100), 3))
    d$y <- round(rnorm(20, sd = 1000)[d$g] + d$x + rnorm(100), 4)
    d
  })
case("heavy_tails", "residuals of a t distribution with two degrees of freedom",
  y ~ x + (x | g) + (1 | h), 28, function() {
    d <- pairs(40, 15, 500)()
    d$y <- round(d$y + rt(500, 2), 4)
    d
  })

# --- several optima
small <- function() {
  # The draws are those of the search for criteria with more than one minimum.
  d <- data.frame(g = factor(sample(6, 20, TRUE)), x = rnorm(20) * 5)
  d$y <- rnorm(6)[d$g] + rt(6, 2)[d$g] * d$x * 0.3 + rt(20, 2)
  transform(d, x = signif(x, 6), y = signif(y, 6))
}
for (seed in c(21, 307, 381, 445)) {
  case(paste0("two_optima_", seed), "twenty rows whose criterion has two local minima",
    y ~ x + (1 | g) + (0 + x | g), seed, small, restarts = 6)
}
