# Marginal means, slopes and contrasts by R's emmeans, for tests/inference/test_emmeans.py.
#
# The data are those of the package's bundled data sets, written by
#   python -c "import crossnest; [crossnest.datasets.load(n).to_csv(f'{n}.csv', index=False)
#              for n in ('cake', 'machines', 'orthodont', 'sleepstudy')]"
# Run in the directory of these files: Rscript make_emmeans.R > emmeans/emmeans.json
suppressMessages({
  library(lme4)
  library(emmeans)
  library(jsonlite)
})
emm_options(msg.nesting = FALSE, msg.interaction = FALSE)

tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-11, maxfun = 1e5))
fit <- function(formula, data) { # the call holds the data, which lmerTest evaluates again
  suppressMessages(do.call(lmerTest::lmer, list(formula, data, control = tight)))
}

cake <- read.csv("cake.csv", stringsAsFactors = TRUE)
cake$temperature <- factor(cake$temperature)
cake$batch <- factor(cake$replicate)
cake$cell <- factor(paste0(cake$recipe, cake$temperature))
machines <- read.csv("machines.csv", stringsAsFactors = TRUE)
machines$Worker <- factor(machines$Worker)
orthodont <- read.csv("orthodont.csv", stringsAsFactors = TRUE)
orthodont$Sex <- factor(orthodont$Sex, levels = c("Male", "Female"))
sleepstudy <- read.csv("sleepstudy.csv")
sleepstudy$Subject <- factor(sleepstudy$Subject)
sleepstudy$known <- 2 * sleepstudy$Days + 3
sleepstudy$late <- ifelse(sleepstudy$Days > 4, 1, 0)

every <- function(data, k) data[seq_len(nrow(data)) %% k != 0, ] # leaves out every k-th row
unbalanced <- every(subset(cake, temp < 205), 7)
unbalanced$temperature <- droplevels(unbalanced$temperature)
empty <- subset(unbalanced, !(recipe == "A" & temperature == "175"))

models <- list(
  cake = fit(angle ~ recipe * temperature + (1 | recipe:batch), cake),
  unbalanced = fit(angle ~ recipe + temperature + (1 | recipe:batch), unbalanced),
  empty = fit(angle ~ recipe * temperature + (1 | recipe:batch), empty),
  nested = fit(angle ~ recipe + cell + (1 | recipe:batch), empty),
  slashed = fit(angle ~ recipe / temperature + (1 | recipe:batch), unbalanced),
  machines = fit(score ~ Machine + (0 + Machine | Worker), every(machines, 5)),
  orthodont = fit(distance ~ age * Sex + (age | Subject), every(orthodont, 5)),
  offset = fit(Reaction ~ Days + offset(known) + (Days | Subject), sleepstudy),
  two_values = fit(Reaction ~ late + (1 | Subject), sleepstudy),
  quadratic = fit(Reaction ~ poly(Days, 2) + (1 | Subject), sleepstudy),
  curve = fit(angle ~ recipe * log(temp) + I(temp^2) + (1 | recipe:batch), cake),
  days = fit(Reaction ~ factor(Days) + (1 | Subject), sleepstudy)
)
own <- list("175 vs rest" = c(1, -.5, -.5), "ends" = c(1, 0, -1))

# Each call is given the model and the method of the degrees of freedom.
means <- list(
  cake = function(m, d) emmeans(m, pairwise ~ recipe | temperature, lmer.df = d),
  cake_marginal = function(m, d) emmeans(m, consec ~ temperature, adjust = "holm", lmer.df = d),
  cake_poly = function(m, d) emmeans(m, poly ~ temperature, lmer.df = d),
  cake_overall = function(m, d) emmeans(m, ~1, lmer.df = d),
  unbalanced = function(m, d) emmeans(m, pairwise ~ recipe, adjust = "bonferroni", lmer.df = d),
  unbalanced_ctrl = function(m, d) {
    emmeans(m, trt.vs.ctrl ~ temperature, adjust = "sidak", lmer.df = d)
  },
  unbalanced_eff = function(m, d) {
    emmeans(m, eff ~ temperature, adjust = "fdr", lmer.df = d, level = .9)
  },
  unbalanced_own = function(m, d) {
    emmeans(m, "temperature", contr = own, adjust = "none", lmer.df = d)
  },
  empty = function(m, d) emmeans(m, pairwise ~ recipe * temperature, adjust = "sidak", lmer.df = d),
  empty_by = function(m, d) emmeans(m, pairwise ~ recipe | temperature, lmer.df = d),
  empty_recipe = function(m, d) emmeans(m, pairwise ~ recipe, lmer.df = d),
  nested = function(m, d) emmeans(m, pairwise ~ recipe, lmer.df = d),
  nested_cell = function(m, d) emmeans(m, pairwise ~ cell | recipe, lmer.df = d),
  slashed = function(m, d) emmeans(m, pairwise ~ recipe, lmer.df = d),
  slashed_inner = function(m, d) emmeans(m, ~temperature, lmer.df = d),
  machines = function(m, d) emmeans(m, pairwise ~ Machine, lmer.df = d),
  orthodont = function(m, d) {
    emmeans(m, pairwise ~ Sex | age, at = list(age = c(8, 14)), lmer.df = d)
  },
  orthodont_mean = function(m, d) emmeans(m, ~Sex, lmer.df = d),
  orthodont_slope = function(m, d) emtrends(m, pairwise ~ Sex, var = "age", lmer.df = d),
  offset = function(m, d) emmeans(m, ~Days, at = list(Days = c(0, 5)), lmer.df = d),
  two_values = function(m, d) emmeans(m, pairwise ~ late, lmer.df = d),
  two_values_overall = function(m, d) emmeans(m, ~1, lmer.df = d),
  quadratic = function(m, d) emmeans(m, ~Days, at = list(Days = c(0, 4.5, 9)), lmer.df = d),
  curve = function(m, d) emmeans(m, pairwise ~ recipe, lmer.df = d),
  days = function(m, d) {
    emmeans(m, pairwise ~ Days, at = list(Days = c(0, 1, 9)), adjust = "holm", lmer.df = d)
  }
)

columns <- function(x) {
  lapply(as.list(as.data.frame(x)), function(v) if (is.factor(v)) as.character(v) else v)
}
# The F test that all means are equal: pbkrtest's or lmerTest's, not the approximation of emmeans.
joint <- function(means, model, ddf) {
  L <- contrast(means, "consec", by = NULL)@linfct
  if (ddf == "satterthwaite") {
    test <- lmerTest::contestMD(model, L)
    names(test) <- c("Sum Sq", "Mean Sq", "df1", "df2", "F.ratio", "p.value")
    return(as.list(test[c("df1", "df2", "F.ratio", "p.value")]))
  }
  test <- as.list(pbkrtest::KRmodcomp(model, L)$test["Ftest", ])
  list(df1 = test$ndf, df2 = test$ddf, F.ratio = test$stat, p.value = test$p.value)
}
with_joint <- c("machines", "unbalanced", "orthodont_slope", "cake_marginal")

result <- list(versions = list(
  R = as.character(getRversion()), lme4 = as.character(packageVersion("lme4")),
  emmeans = as.character(packageVersion("emmeans")),
  pbkrtest = as.character(packageVersion("pbkrtest")),
  lmerTest = as.character(packageVersion("lmerTest"))
))
for (name in names(means)) {
  model <- models[[strsplit(name, "_")[[1]][1]]]
  if (startsWith(name, "two_values")) model <- models$two_values
  for (ddf in c("kenward-roger", "satterthwaite")) {
    made <- means[[name]](model, ddf)
    text <- capture.output(print(made))
    tables <- if (inherits(made, "emm_list")) made else list(made)
    result[[name]][[ddf]] <- list(
      text = sub(" +$", "", text),
      means = columns(tables[[1]]),
      contrasts = if (length(tables) > 1) columns(tables[[2]]),
      joint = if (name %in% with_joint) joint(tables[[1]], model, ddf)
    )
  }
}
cat(toJSON(result, digits = NA, auto_unbox = TRUE, na = "null", null = "null"))
