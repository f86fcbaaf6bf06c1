# Makes diagnostics.json, what R says of fits to bundled data sets, from the root of the repository:
# Rscript tests/expected/golden/diagnostics/make_diagnostics.R
# Needs lme4, car, performance and jsonlite. Every fit is as tight as bobyqa makes it.
suppressPackageStartupMessages({
  library(lme4)
  library(car)
  library(performance)
})
data(Machines, Orthodont, package = "nlme")
plain <- function(data, factors) {
  data <- as.data.frame(data)
  for (name in factors) data[[name]] <- factor(data[[name]], ordered = FALSE)
  data
}
sleep <- transform(sleepstudy[-c(2, 3, 15, 44, 77, 78, 79, 80, 121), ], w = 1 + Days %% 3)
orthodont <- plain(Orthodont, c("Subject", "Sex"))
machines <- plain(Machines, c("Worker", "Machine"))
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-11, maxfun = 1e5), calc.derivs = FALSE)

cases <- list(
  sleep = list(Reaction ~ Days + (Days | Subject), sleep, "Subject"),
  sleep_weights = list(Reaction ~ Days + (Days | Subject), sleep, "Subject", weights = TRUE),
  orthodont = list(distance ~ age * Sex + (age | Subject), orthodont, "Subject"),
  cake = list(angle ~ recipe + temp + (1 | recipe:replicate), cake, NULL),
  machines = list(score ~ Machine + (Machine | Worker), machines, "Worker"),
  pastes = list(strength ~ 1 + (1 | batch / cask), Pastes, "batch")
)

fit <- function(case, data) {
  if (isTRUE(case$weights)) lmer(case[[1]], data, control = tight, weights = w)
  else lmer(case[[1]], data, control = tight)
}

# The fits without each level, measured as lme4's dfbeta and dfbetas and as HLMdiag do.
deleted <- function(model, case) {
  levels <- unique(as.character(case[[2]][[case[[3]]]]))
  fits <- lapply(levels, function(l) suppressMessages(fit(case, droplevels(case[[2]][case[[2]][[case[[3]]]] != l, ]))))
  beta <- do.call(rbind, lapply(fits, fixef))
  se <- do.call(rbind, lapply(fits, function(f) sqrt(diag(as.matrix(vcov(f))))))
  dfbeta <- sweep(beta, 2, fixef(model))
  V <- as.matrix(vcov(model))
  list(
    levels = levels, dfbeta = dfbeta, dfbetas = dfbeta / se,
    cooks_distance = apply(dfbeta, 1, function(d) sum(d * solve(V, d)) / length(d)),
    covratio = sapply(fits, function(f) det(as.matrix(vcov(f))) / det(V)),
    theta = do.call(rbind, lapply(fits, getME, "theta")), sigma = sapply(fits, sigma)
  )
}

describe <- function(case) {
  model <- fit(case, case[[2]])
  pca <- rePCA(model)
  answer <- list(
    theta = unname(getME(model, "theta")), hatvalues = unname(hatvalues(model)),
    cooks_distance = unname(cooks.distance(model)),
    rstandard = unname(residuals(model, "pearson", scaled = TRUE) / sqrt(1 - hatvalues(model))),
    icc = as.list(icc(model)), r2 = lapply(unclass(r2_nakagawa(model)), unname),
    pca_sdev = lapply(pca, `[[`, "sdev"), pca_text = capture.output(print(summary(pca)))
  )
  if (length(attr(terms(model), "term.labels")) > 1) {
    factors <- vif(model)
    answer$vif <- list(terms = if (is.matrix(factors)) rownames(factors) else names(factors), values = unname(factors))
  }
  if (!is.null(case[[3]])) answer$influence <- deleted(model, case)
  answer
}

source_text <- sprintf("R %s, lme4 %s, car %s, performance %s, insight %s", getRversion(),
  packageVersion("lme4"), packageVersion("car"), packageVersion("performance"), packageVersion("insight"))
answers <- c(list(source = source_text), lapply(cases, describe))
writeLines(jsonlite::toJSON(answers, digits = 12, auto_unbox = TRUE, na = "null"), "tests/expected/golden/diagnostics/diagnostics.json")
