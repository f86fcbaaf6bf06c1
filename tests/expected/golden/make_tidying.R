# Makes tests/expected/golden/tidying/broom_mixed.json: what broom.mixed makes of some fits.
# Run from the root of the repository: Rscript tests/expected/golden/make_tidying.R
suppressPackageStartupMessages({library(lme4); library(broom.mixed); library(jsonlite)})
data(Machines, package = "nlme")

case <- function(...) {
  plain <- do.call(lme4::lmer, list(...))
  tested <- do.call(lmerTest::lmer, list(...))
  list(
    theta = unname(getME(plain, "theta")),
    fixed = tidy(plain, effects = "fixed", conf.int = TRUE),
    fixed_satterthwaite = tidy(tested, effects = "fixed", conf.int = TRUE),
    ran_pars = tidy(plain, effects = "ran_pars"),
    ran_vals = tidy(plain, effects = "ran_vals", conf.int = TRUE),
    ran_coefs = tidy(plain, effects = "ran_coefs"),
    glance = glance(plain),
    augment = head(as.data.frame(augment(plain)), 5)
  )
}

uneven <- transform(sleepstudy, w = 1 + (Days %% 3))
cases <- list(
  sleepstudy = case(Reaction ~ Days + (Days | Subject), sleepstudy),
  sleepstudy_weights_ml = case(Reaction ~ Days + (1 | Subject), uneven, weights = uneven$w, REML = FALSE),
  penicillin = case(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin),
  pastes = case(strength ~ 1 + (1 | batch / cask), Pastes)
)
source_text <- sprintf("%s, lme4 %s, lmerTest %s, broom.mixed %s", R.version.string,
  packageVersion("lme4"), packageVersion("lmerTest"), packageVersion("broom.mixed"))
write_json(list(source = source_text, cases = cases), "tests/expected/golden/tidying/broom_mixed.json",
  digits = NA, auto_unbox = FALSE, dataframe = "columns", na = "null")
