# Makes cases.json and frame.csv: what R's model.matrix makes of formulas whose coding by margins is
# easily got wrong, and what lme4 makes of the left sides of bar terms.
# Run from the root of the repository: Rscript tests/expected/reference_r_coding/make_cases.R
suppressPackageStartupMessages({
  library(lme4)
  library(splines)
})
directory <- "tests/expected/reference_r_coding"

# --- the frame: factors of two to four levels, not balanced, no cell of two factors empty ---------

set.seed(20)
n <- 40
frame <- data.frame(
  f = c("a", "b")[c(1, 2, 1, 1, 2)][(seq_len(n) - 1) %% 5 + 1],
  h = c("u", "v", "w")[(seq_len(n) - 1) %% 3 + 1],
  k = c("k1", "k2", "k3", "k4")[sample(rep(1:4, length.out = n))],
  o = c("low", "mid", "high")[sample(rep(1:3, length.out = n))],
  l = sample(rep(c(TRUE, FALSE), length.out = n)),
  x = round(rnorm(n, 2), 3),
  z = round(rexp(n) + 0.1, 3),
  i = sample(rep(1:5, length.out = n)),
  m = round(rnorm(n), 3),
  q = c("p", "r", "s")[sample(rep(1:3, length.out = n))],
  g = paste0("g", sample(rep(1:5, length.out = n))),
  c = paste0("c", sample(rep(1:3, length.out = n))),
  y = round(rnorm(n), 3)
)
frame$m[c(3, 17)] <- NA  # numbers missing where x is far out and where it is not
frame$q[c(8, 30)] <- NA
frame$x[3] <- 9.5
write.csv(frame, file.path(directory, "frame.csv"), row.names = FALSE, quote = FALSE)
for (name in c("f", "h", "k", "q", "g", "c")) frame[[name]] <- factor(frame[[name]])
frame$o <- factor(frame$o, levels = c("low", "mid", "high"), ordered = TRUE)
stopifnot(all(table(frame$f, frame$h) > 0), all(table(frame$h, frame$k) > 0), all(table(frame$h, frame$o) > 0))

# --- formulas -------------------------------------------------------------------------------------

fixed <- c(
  # one factor, with and without what it is marginal to
  "f", "0 + f", "f - 1", "h", "0 + h", "k - 1", "0 + f + h", "0 + h + f", "f + h + k", "0 + f + h + k",
  "f + h - 1", "x + f", "0 + x + f", "0 + f + x", "x + f - 1", "l", "0 + l", "l + f", "0 + l + f", "0 + f + l",
  "o", "0 + o", "o + f", "0 + f + o", "0 + o + f", "x", "0 + x", "i", "factor(i)", "0 + factor(i)", "f + factor(i)",
  # interactions with all their margins, with some and with none
  "f*h", "f + h + f:h", "f:h", "0 + f:h", "f:h - 1", "f + f:h", "h + f:h", "0 + f + f:h", "0 + h + f:h", "f*h - f",
  "f*h - h", "f*h - 1", "0 + f*h", "h:f", "f/h", "h/f", "0 + f/h", "f/h - 1", "f/(h + k)", "f/h/k",
  "(f + h + k)^2", "(f + h + k)^2 - f:h", "(f + h)^2", "f*h*k", "f*h*k - f:h:k", "f*h*k - f:h", "f*h*k - f:h - f:k",
  "f*h*k - h", "f:h:k", "0 + f:h:k", "f + f:h:k", "f:h + h:k", "f:h + f:k", "0 + f:h + h:k", "f + h:k", "0 + f + h:k",
  "f:h + k", "k + f:h", "f*h + f:k", "f + h + f:h:k", "f*h + f:h:k", "h %in% f", "f + h %in% f", "0 + f*h*k",
  # with numbers
  "x:f", "0 + x:f", "f:x", "x + x:f", "f + x:f", "f*x", "0 + f*x", "f*x - x", "f*x - f", "f/x", "0 + f/x", "f/x - 1",
  "x:f:h", "0 + x:f:h", "x + x:f:h", "x:f + x:h", "x*f*h", "x*f*h - x:f", "x*f*h - f:h", "0 + x + x:f", "x:z", "x*z",
  "0 + x:z", "x:z:f", "x*z*f", "x*z*f - x:f", "x:f + z:f", "f + x:f + z:h", "x/f", "0 + x/f", "x + z + x:f + z:h",
  # logicals and ordered factors
  "l:f", "0 + l:f", "l*f", "l:x", "0 + l:x", "l + l:x", "l*x - x", "o:f", "0 + o:f", "o*f", "o*f - o", "f/o", "o/f",
  "o:x", "0 + o:x", "o + o:x", "o*x", "l*o", "0 + l + o", "l:o",
  # columns that are functions of others
  "poly(x, 2)", "0 + poly(x, 2)", "poly(x, 3):f", "f*poly(x, 2)", "0 + f:poly(x, 2)", "poly(x, 2, raw = TRUE)",
  "poly(x, 2) + poly(z, 2)", "poly(x, 2):poly(z, 2)", "bs(x, df = 4)", "0 + bs(x, df = 5)", "bs(x, df = 4):f",
  "bs(x, knots = c(1, 2))", "bs(x, degree = 2)", "ns(x, df = 3)", "0 + ns(x, df = 3)", "ns(x, df = 3):f", "ns(x, knots = c(1, 2))",
  "scale(x)", "0 + scale(x)", "scale(x):f", "f*scale(x)", "log(z)", "log(z):f", "sqrt(z)*f", "I(x^2)", "x + I(x^2)",
  "f*(x + I(x^2))", "I(x + z)", "exp(x) + abs(x)", "(x > 2)", "0 + I(x > 2)", "log1p(z) + sin(x)",
  # missing values in another column than the one transformed
  "m", "f + m", "f*m", "q", "0 + q", "f:q", "q:x", "m + q", "0 + scale(x) + m", "scale(x) + m", "0 + poly(x, 2) + m",
  "poly(x, 2) + q", "bs(x, df = 4) + m", "ns(x, df = 3) + m", "0 + bs(x, df = 4) + q", "poly(x, 2):q"
)

sum3 <- contr.sum(3)
odd <- matrix(c(1, 0, -1, 1, -2, 1), 3, dimnames = list(c("u", "v", "w"), c("lin", "quad")))
one <- matrix(c(-1, 0, 1), 3, dimnames = list(c("u", "v", "w"), "lin"))
base2 <- contr.treatment(3, base = 2)
coded <- c(
  "h", "0 + h", "f + h", "0 + f + h", "f/h", "h/f", "f:h", "0 + f:h", "f*h", "x:h", "0 + x:h", "x + x:h", "f*h - h",
  "h + f:h", "f + f:h", "0 + h + f:h", "h*x", "(f + h + k)^2 - f:h"
)
codings <- list(
  sum = list(named = "contr.sum"), helmert = list(named = "contr.helmert"), poly = list(named = "contr.poly"),
  SAS = list(named = "contr.SAS"), matrix = list(matrix = odd), `sum as matrix` = list(matrix = sum3),
  `base 2` = list(matrix = base2), `one column` = list(matrix = one)
)
few <- c("h", "0 + h", "f/h", "f:h", "h + f:h", "0 + x:h")

random <- c(
  "1", "x", "0 + x", "f", "0 + f", "h", "0 + h", "f + h", "0 + f + h", "f:h", "0 + f:h", "f + f:h", "f*h", "f/h",
  "f:h - 1", "x:f", "0 + x:f", "x + x:f", "f*x", "0 + f + x:f", "l", "0 + l", "o", "0 + o", "poly(x, 2)", "0 + poly(x, 2)",
  "I(x^2)", "log(z)", "x + z", "x:z", "0 + x + z", "h - 1", "factor(i)", "0 + factor(i)"
)
random_coded <- c("h", "0 + h", "f:h", "f/h", "0 + f:h", "x:h", "0 + f + h")

# --- what R makes of them --------------------------------------------------------------------------

pool <- new.env()
pool$values <- list()
pool$keys <- character()

# A column is stored once, however many cases have it.
place <- function(column) {
  column <- signif(unname(column), 14)
  key <- paste(column, collapse = " ")
  at <- match(key, pool$keys)
  if (is.na(at)) {
    pool$keys <- c(pool$keys, key)
    pool$values <- c(pool$values, list(column))
    at <- length(pool$keys)
  }
  at - 1L
}

coding_of <- function(coding) {
  if (is.null(coding)) return(NULL)
  if (!is.null(coding$named)) return(list(h = list(named = coding$named)))
  m <- coding$matrix
  list(h = list(matrix = unname(m), rows = rownames(m), columns = colnames(m)))
}

with_coding <- function(coding) {
  if (is.null(coding)) return(frame)
  d <- frame
  d$h <- C(d$h, if (is.null(coding$named)) coding$matrix else get(coding$named), ncol(coding$matrix))
  d
}

described <- function(kind, formula, X, rows, coding, coding_name, terms) {
  list(
    kind = kind, formula = formula, coding = coding_name, contrasts = coding_of(coding),
    terms = terms, rows = which(rows) - 1L, names = I(colnames(X)), rank = qr(X)$rank,
    assign = I(attr(X, "assign")), columns = I(vapply(seq_len(ncol(X)), function(j) place(X[, j]), 0L))
  )
}

fixed_case <- function(right, coding = NULL, coding_name = "default") {
  d <- with_coding(coding)
  mf <- model.frame(as.formula(paste("y ~", right)), d)
  X <- model.matrix(attr(mf, "terms"), mf)
  described("fixed", paste("y ~", right), X, rownames(d) %in% rownames(mf), coding, coding_name, I(attr(attr(mf, "terms"), "term.labels")))
}

# The matrix lme4 makes of the left side of a bar, and the names it gives the effects.
random_case <- function(left, coding = NULL, coding_name = "default") {
  d <- with_coding(coding)
  formula <- paste0("y ~ 1 + (", left, " | g)")
  parsed <- lFormula(as.formula(formula), d, control = lmerControl(
    check.nobs.vs.nRE = "ignore", check.nobs.vs.nlev = "ignore", check.nobs.vs.rankZ = "ignore"
  ))
  bar <- findbars(as.formula(formula))[[1]]
  X <- model.matrix(as.formula(substitute(~left, list(left = bar[[2]]))), parsed$fr)
  stopifnot(identical(colnames(X), unname(parsed$reTrms$cnms[[1]])))
  described("random", formula, X, rep(TRUE, n), coding, coding_name, I(character()))
}

cases <- c(
  lapply(fixed, fixed_case),
  unlist(lapply(names(codings), function(name) {
    formulas <- if (name %in% c("sum", "matrix", "base 2")) coded else few
    lapply(formulas, fixed_case, codings[[name]], name)
  }), recursive = FALSE),
  lapply(random, random_case),
  unlist(lapply(c("sum", "matrix", "one column"), function(name) {
    lapply(random_coded, random_case, codings[[name]], name)
  }), recursive = FALSE)
)
source_text <- sprintf("%s, lme4 %s", R.version.string, packageVersion("lme4"))
json <- list(source = source_text, cases = cases, pool = pool$values)
path <- file.path(directory, "cases.json")
text <- jsonlite::toJSON(json, auto_unbox = TRUE, digits = NA, null = "null")
text <- gsub("},{\"kind\"", "},\n{\"kind\"", text, fixed = TRUE)
writeLines(gsub("],[", "],\n[", text, fixed = TRUE), path)
cat(length(cases), "cases,", length(pool$values), "distinct columns\n")
