# Makes tests/expected/golden/prediction/predictions.json: predictions and their standard errors at some rows
# of the data and at rows whose levels do not occur together there.
# The standard errors are those of lme4 (>= 1.1-35) predict(se.fit = TRUE), by its formula
# diag([Z X] C [Z X]'), C the covariance of (b, beta) from the factors L, RZX, RX and Lambda, so
# that an older lme4 can make them too.
# Run from the root of the repository: Rscript tests/expected/golden/make_prediction.R
suppressPackageStartupMessages({library(lme4); library(jsonlite)})
data(Machines, package = "nlme")

joint_covariance <- function(fit) {
  RX <- getME(fit, "RX")
  inverse <- solve(getME(fit, "L"), getME(fit, "Lambdat"), system = "P")
  inverse <- solve(getME(fit, "L"), inverse, system = "L")
  border <- -solve(t(RX), t(getME(fit, "RZX")) %*% inverse)
  M <- rbind(
    cbind(as.matrix(inverse), matrix(0, nrow(inverse), ncol(RX))),
    cbind(as.matrix(border), solve(t(RX)))
  )
  sigma(fit)^2 * crossprod(M)
}

design_of <- function(fit, newdata, re.form) {
  X <- model.matrix(formula(fit, fixed.only = TRUE)[-2], newdata)
  Z <- matrix(0, nrow(newdata), getME(fit, "q"))
  if (!identical(re.form, NA)) {
    names_of <- function(bars) sapply(bars, deparse)
    kept <- names_of(findbars(if (is.null(re.form)) formula(fit) else re.form))
    for (i in seq_along(getME(fit, "cnms"))) {
      if (!names_of(findbars(formula(fit)))[i] %in% kept) next
      group <- names(getME(fit, "cnms"))[i]
      levels_of <- levels(getME(fit, "flist")[[group]])
      parts <- strsplit(group, ":")[[1]]
      code <- match(do.call(paste, c(newdata[parts], sep = ":")), levels_of)
      columns <- model.matrix(as.formula(paste("~", sub(" \\|.*", "", names_of(findbars(formula(fit)))[i]))), newdata)
      k <- ncol(columns)
      start <- getME(fit, "Gp")[i]
      for (r in seq_len(nrow(newdata))) Z[r, start + (code[r] - 1) * k + seq_len(k)] <- columns[r, ]
    }
  }
  cbind(Z, X)
}

predictions <- function(fit, newdata, re.form) {
  rows <- design_of(fit, newdata, re.form)
  b_beta <- c(as.vector(getME(fit, "b")), fixef(fit))
  fitted <- unname(predict(fit, newdata, re.form = re.form))
  stopifnot(all.equal(as.vector(rows %*% b_beta), fitted, check.attributes = FALSE))
  list(fit = fitted, se = sqrt(rowSums((rows %*% joint_covariance(fit)) * rows)))
}

case <- function(fit, newdata, re.forms) {
  results <- lapply(re.forms, function(re.form) predictions(fit, newdata, re.form))
  list(theta = unname(getME(fit, "theta")), newdata = newdata, re = results)
}

uneven <- transform(sleepstudy, w = 1 + (Days %% 3))
cases <- list(
  sleepstudy = case(lmer(Reaction ~ Days + (Days | Subject), sleepstudy),
    data.frame(Days = c(0, 4.5, 12), Subject = c("308", "372", "330")), list(all = NULL, none = NA)),
  sleepstudy_weights_ml = case(lmer(Reaction ~ Days + (Days | Subject), uneven, weights = w, REML = FALSE),
    data.frame(Days = c(0, 4.5, 12), Subject = c("308", "372", "330")), list(all = NULL, none = NA)),
  penicillin = case(lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin),
    Penicillin[c(1, 20, 144), c("plate", "sample")],
    list(all = NULL, none = NA, plate = ~(1 | plate), sample = ~(1 | sample))),
  machines = case(lmer(score ~ Machine + (0 + Machine | Worker), Machines),
    data.frame(Machine = factor(c("A", "B", "C")), Worker = c("1", "6", "2")), list(all = NULL, none = NA)),
  pastes = case(lmer(strength ~ 1 + (1 | cask:batch) + (1 | batch), Pastes),
    Pastes[c(1, 30, 60), c("batch", "cask")], list(all = NULL, none = NA, batch = ~(1 | batch)))
)
source_text <- sprintf("%s, lme4 %s", R.version.string, packageVersion("lme4"))
write_json(list(source = source_text, cases = cases), "tests/expected/golden/prediction/predictions.json",
  digits = NA, auto_unbox = FALSE, pretty = TRUE)
