# Fits the designs of a JSON file with lme4 and lmerTest and writes every table as JSON.
# `against_r.py` runs it: Rscript against_r.R jobs.json answers.json
suppressPackageStartupMessages({
  library(lme4)
  library(lmerTest)
})
paths <- commandArgs(trailingOnly = TRUE)
jobs <- jsonlite::read_json(paths[1])
quietly <- function(x) suppressMessages(suppressWarnings(x))

# --- the best of several optimizers ------------------------------------------------------------

unchecked <- list(
  check.nobs.vs.rankZ = "ignore", check.nobs.vs.nlev = "ignore", check.nobs.vs.nRE = "ignore",
  check.nlev.gtr.1 = "ignore", check.conv.singular = "ignore", check.conv.grad = "ignore", check.conv.hess = "ignore",
  check.rankX = "silent.drop.cols", check.scaleX = "ignore"
)
optimizers <- list(
  list("bobyqa", list(rhoend = 1e-9, maxfun = 1e5)),
  list("Nelder_Mead", list(xtol_abs = 1e-9, ftol_abs = 1e-10, FtolAbs = 1e-10, FtolRel = 1e-15, XtolRel = 1e-10, maxfun = 1e5)),
  list("nloptwrap", list(xtol_abs = 1e-10, ftol_abs = 1e-12, maxeval = 1e5))
)
control_of <- function(name, options, ...) {
  if (name == "Nelder_Mead") options <- options[c("FtolAbs", "FtolRel", "XtolRel", "maxfun")]
  do.call(lmerControl, c(list(optimizer = name, optCtrl = options, calc.derivs = FALSE), unchecked, list(...)))
}

criterion <- function(fit) if (isREML(fit)) REMLcrit(fit) else deviance(fit)

fit_best <- function(formula, data, REML, weights) {
  best <- NULL
  for (one in optimizers) {
    a <- list(formula = formula, data = data, REML = REML, control = control_of(one[[1]], one[[2]]))
    if (weights) a$weights <- as.name("w")
    for (start in if (is.null(best)) list(NULL) else list(NULL, getME(best, "theta"))) {
      a$start <- start
      fit <- tryCatch(quietly(do.call(lmerTest::lmer, a)), error = function(e) NULL)
      if (!is.null(fit) && (is.null(best) || criterion(fit) < criterion(best))) best <- fit
    }
  }
  best
}

# --- every table -------------------------------------------------------------------------------

table_of <- function(expr) {
  result <- tryCatch(quietly(expr), error = function(e) conditionMessage(e))
  if (is.character(result)) return(list(error = result))
  result <- as.data.frame(result)
  list(rows = I(rownames(result)), columns = I(colnames(result)), values = lapply(unname(as.list(result)), function(v) I(as.numeric(v))))
}

modes <- function(fit) {
  effects <- quietly(ranef(fit, condVar = FALSE))
  lapply(effects, function(e) list(levels = I(rownames(e)), names = I(colnames(e)), values = I(unname(as.matrix(e)))))
}

answer <- function(job) {
  data <- read.csv(job$data, stringsAsFactors = TRUE)
  data$o <- factor(data$o, levels = c("low", "mid", "high"), ordered = TRUE)
  environment <- new.env(parent = globalenv())
  formula <- as.formula(job$formula, env = environment)
  fit <- fit_best(formula, data, job$reml, job$weights)
  if (is.null(fit)) return(list(error = "lmer fails with every optimizer"))
  assign("data", data, envir = globalenv())
  fit@call$data <- as.name("data")
  fit@call$start <- NULL  # a start of this model is none of a submodel's
  slots <- list(
    criterion = criterion(fit), sigma = sigma(fit), theta = I(unname(getME(fit, "theta"))), aic = AIC(fit), bic = BIC(fit),
    fixef = as.list(fixef(fit)), se = I(sqrt(diag(as.matrix(vcov(fit))))), fitted = I(unname(fitted(fit))),
    theta_names = I(names(getME(fit, "theta"))), ranef = modes(fit), singular = isSingular(fit),
    optimizer = fit@optinfo$optimizer, X_columns = I(colnames(getME(fit, "X")))
  )
  new <- data[unlist(job$rows) + 1, ]
  slots$predicted <- I(unname(tryCatch(quietly(predict(fit, new)), error = function(e) conditionMessage(e))))
  slots$population <- I(unname(tryCatch(quietly(predict(fit, new, re.form = NA)), error = function(e) conditionMessage(e))))
  tables <- list(summary = table_of(coef(summary(fit))))
  for (type in 1:3) tables[[paste0("anova", type)]] <- table_of(anova(fit, type = type))
  tables$ranova <- table_of(ranova(fit))
  tables$drop1_F <- table_of(drop1(fit))
  tables$drop1_chisq <- table_of(drop1(as(fit, "lmerMod"), test = "Chisq"))
  if (job$kr) {
    tables$summary_kr <- table_of(coef(summary(fit, ddf = "Kenward-Roger")))
    tables$anova3_kr <- table_of(anova(fit, type = 3, ddf = "Kenward-Roger"))
  }
  c(slots, list(tables = tables))
}

answers <- lapply(jobs, function(job) {
  tryCatch(answer(job), error = function(e) list(error = conditionMessage(e)))
})
jsonlite::write_json(answers, paths[2], auto_unbox = TRUE, digits = NA, null = "null", na = "null")
