# Shared by the scripts that make reference fits: fit as tightly as lme4 can, write one JSON.
# Needs R with lme4, optimx, numDeriv and jsonlite.
suppressPackageStartupMessages({
  library(lme4)
  library(optimx)
})

versions <- sprintf(
  "R %s, lme4 %s",
  paste(R.version$major, R.version$minor, sep = "."), packageVersion("lme4")
)

# Checks that only warn are off: the fits below are judged by their criterion alone.
quiet <- function(optimizer, optCtrl = list()) {
  lmerControl(
    optimizer = optimizer, optCtrl = optCtrl, calc.derivs = FALSE,
    check.conv.grad = "ignore", check.conv.hess = "ignore", check.scaleX = "ignore"
  )
}

optimizers <- list(
  nloptwrap = quiet("nloptwrap", list(xtol_abs = 1e-12, ftol_abs = 1e-12, xtol_rel = 1e-12, ftol_rel = 1e-15, maxeval = 20000)),
  bobyqa = quiet("bobyqa", list(rhoend = 1e-10, maxfun = 50000)),
  nelder_mead = quiet("Nelder_Mead", list(XtolRel = 1e-12, FtolRel = 1e-15, FtolAbs = 1e-12, maxfun = 20000)),
  lbfgsb = quiet("optimx", list(method = "L-BFGS-B", factr = 10, pgtol = 0, maxit = 2000))
)

# An "optimizer" that stays where it starts: the fit at a given theta.
at_start <- function(fn, par, lower, upper, control) {
  list(par = par, fval = fn(par), conv = 0, message = "")
}

criterion <- function(fit) {
  if (isREML(fit)) lme4::REMLcrit(fit) else unname(deviance(fit))
}

# Newton steps on the parameters off the boundary, each kept only when the criterion does not rise.
polish <- function(devfun, theta, lower) {
  value <- devfun(theta)
  for (step in 1:4) {
    free <- which(!(lower == 0 & theta < 1e-4))
    if (!length(free)) break
    of_free <- function(x) { t <- theta; t[free] <- x; devfun(t) }
    moved <- tryCatch({
      g <- numDeriv::grad(of_free, theta[free])
      H <- numDeriv::hessian(of_free, theta[free])
      e <- eigen((H + t(H)) / 2)
      flat <- e$values <= 1e-8 * max(e$values)
      d <- ifelse(flat, 0, 1 / e$values) * crossprod(e$vectors, g)
      x <- theta; x[free] <- x[free] - drop(e$vectors %*% d)
      if (all(x >= lower)) x else theta
    }, error = function(err) theta)
    new <- devfun(moved)
    if (!is.finite(new) || new > value + 1e-10) break
    theta <- moved; value <- min(new, value)
  }
  # What is close to zero is made zero when that costs nothing.
  for (i in which(abs(theta) < 1e-3 & theta != 0)) {
    zero <- theta
    zero[i] <- 0
    if (devfun(zero) <= value + 1e-10) theta <- zero
  }
  devfun(theta)
  theta
}

# How far the criterion moves with rounding: the range at thetas that agree to 1e-12.
noise <- function(devfun, theta) {
  values <- vapply(-4:4, function(i) devfun(theta * (1 + i * 1e-12)), 0)
  devfun(theta)
  diff(range(values))
}

# Lowest criterion over the optimizers and several starts, then polished.
# arguments: formula, data, REML, and possibly weights (name of a column) and offset.
# starts: further values of theta to start from, for instance from an equivalent model.
best_fit <- function(arguments, restarts = 1, use = names(optimizers), starts = list()) {
  build <- function(control, start = NULL, devFunOnly = FALSE) {
    a <- c(arguments, list(control = control, start = start, devFunOnly = devFunOnly))
    suppressMessages(suppressWarnings(do.call(lmer, a)))
  }
  best <- NULL
  trail <- c()
  attempt <- function(name, start) {
    fit <- tryCatch(build(optimizers[[name]], start), error = function(e) NULL)
    if (is.null(fit)) return(invisible())
    trail <<- c(trail, setNames(criterion(fit), name))
    if (is.null(best) || criterion(fit) < criterion(best)) best <<- fit
  }
  for (name in use) attempt(name, NULL)
  from_default <- trail
  for (start in starts) for (name in use) attempt(name, start)
  set.seed(1)
  for (i in seq_len(restarts)) {
    theta <- getME(best, "theta")
    size <- max(abs(theta), 0.1)
    for (name in use) {
      attempt(name, theta + ifelse(getME(best, "lower") == 0, 1, 0) * 0.1 * size)
      attempt(name, abs(theta) * runif(length(theta), 0.3, 3) + 0.05 * size)
    }
  }
  devfun <- build(quiet("bobyqa"), devFunOnly = TRUE)
  theta <- polish(devfun, unname(getME(best, "theta")), getME(best, "lower"))
  last <- lmerControl(
    optimizer = at_start, calc.derivs = FALSE, restart_edge = FALSE, boundary.tol = 0,
    check.conv.grad = "ignore", check.conv.hess = "ignore", check.scaleX = "ignore"
  )
  fit <- build(last, theta)
  stopifnot(criterion(fit) <= min(trail) + 1e-7)
  fit@optinfo$optimizer <- "nloptwrap" # the name R prints is that of its default
  attr(fit, "excess") <- from_default - criterion(fit)
  attr(fit, "noise") <- noise(devfun, theta)
  fit
}

# Level names, conditional modes and their covariances of the first levels, per grouping factor.
ranef_json <- function(fit, head = 12) {
  re <- ranef(fit, condVar = TRUE)
  lapply(names(re), function(group) {
    r <- as.matrix(re[[group]])
    rows <- seq_len(min(head, nrow(r)))
    pv <- attr(re[[group]], "postVar")
    if (is.list(pv)) pv <- NULL # several terms on one factor: lme4 gives no joint covariance
    list(
      group = group, n_levels = nrow(r), columns = colnames(r), levels = rownames(r)[rows],
      values = unname(r[rows, , drop = FALSE]), sum_sq = unname(colSums(r^2)),
      cond_var = if (!is.null(pv)) lapply(rows, function(i) unname(matrix(pv[, , i], nrow(pv))))
    )
  })
}

# Everything about a fit that the tests compare; `full` adds what only some of them need.
fit_json <- function(fit, full = TRUE) {
  beta <- fixef(fit)
  v <- unname(as.matrix(vcov(fit)))
  se <- if (length(beta)) sqrt(diag(v)) else numeric()
  vc <- as.data.frame(VarCorr(fit), order = "lower.tri")
  ll <- logLik(fit)
  out <- list(
    nobs = nobs(fit), criterion = criterion(fit), logLik = as.numeric(ll), df = attr(ll, "df"),
    AIC = AIC(fit), BIC = BIC(fit), df_resid = df.residual(fit),
    theta = as.list(getME(fit, "theta")), sigma = sigma(fit), singular = isSingular(fit),
    coef = list(
      names = names(beta), estimate = unname(beta), se = se, t = unname(beta / se)
    ),
    vcov = v, varcorr = as.list(vc), n_levels = as.list(ngrps(fit)),
    fitted_sum = sum(fitted(fit))
  )
  if (full) {
    out$scaled_residual_quantiles <- unname(quantile(residuals(fit, "pearson", scaled = TRUE)))
    out$fitted_head <- unname(head(fitted(fit), 10))
    out$ranef <- ranef_json(fit)
  } else {
    re <- ranef(fit, condVar = FALSE)
    out$ranef <- lapply(names(re), function(group) {
      r <- as.matrix(re[[group]])
      list(group = group, n_levels = nrow(r), columns = colnames(r), sum_sq = unname(colSums(r^2)))
    })
  }
  stopifnot(!anyDuplicated(names(out$theta)))
  out
}

# Columns of the model that are factors, with their levels, and those of them that are ordered.
factor_levels <- function(data) {
  f <- Filter(is.factor, data)
  if (length(f)) lapply(f, levels) else structure(list(), names = character())
}

# One key a line, 15 significant digits.
write_case <- function(case, directory) {
  value <- function(x) jsonlite::toJSON(x, auto_unbox = TRUE, digits = NA, null = "null", na = "null")
  lines <- sprintf('  "%s": %s', names(case), vapply(case, value, ""))
  writeLines(
    c("{", paste(lines, collapse = ",\n"), "}"), file.path(directory, paste0(case$case, ".json"))
  )
}

# Writes the columns, reads them back: what is fitted is exactly what is in the file.
through_csv <- function(data, path) {
  con <- gzfile(path, "wb", compression = 9)
  write.csv(data, con, row.names = FALSE, quote = FALSE)
  close(con)
  classes <- ifelse(vapply(data, is.factor, NA), "character", NA)
  back <- read.csv(path, colClasses = classes, check.names = FALSE)
  for (name in names(data)[vapply(data, is.factor, NA)]) {
    back[[name]] <- factor(back[[name]], levels = levels(data[[name]]), ordered = is.ordered(data[[name]]))
  }
  back
}
