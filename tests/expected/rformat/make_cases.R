# Makes cases.json, R's formatting of random numbers, names, tables and formulas.
# Run from the root of the repository: Rscript tests/expected/rformat/make_cases.R (R 4.2.2, jsonlite 1.8.4)
options(width = 80, digits = 7)
set.seed(4)
exact <- function(x) sprintf("%.17g", x) # JSON numbers would lose the last digits
spread <- function(n) rnorm(n) * 10^runif(n, -1, 1)^sample(c(0, 1, 3, 5), 1)

numbers <- lapply(1:250, function(i) {
  x <- spread(sample(1:7, 1))
  if (i %% 4 == 0) x <- round(x, sample(0:3, 1))
  if (i %% 9 == 0) x <- c(x, 0)
  if (i %% 23 == 0) x <- x * 1e104
  if (i %% 29 == 0) x <- c(x, NaN)
  if (i %% 31 == 0) x <- c(x, -Inf)
  digits <- sample(1:9, 1)
  nsmall <- sample(c(0, 0, 2, 3), 1)
  list(x = exact(x), digits = digits, nsmall = nsmall, text = I(format(x, digits = digits, nsmall = nsmall)))
})
rounded <- lapply(1:100, function(i) {
  x <- if (i %% 3) spread(5) else sample(-500:500, 5) / 1000 + 0.0005 * sample(0:1, 5, TRUE)
  digits <- sample(0:5, 1)
  list(x = exact(x), digits = digits, round = exact(round(x, digits)), zapsmall = exact(zapsmall(x, digits + 1)))
})
coefficients <- lapply(1:80, function(i) {
  p <- sample(1:6, 1)
  m <- cbind(Estimate = spread(p), `Std. Error` = abs(spread(p)))
  if (i %% 10 == 0) m[1, 1] <- 0
  m <- cbind(m, `t value` = m[, 1] / m[, 2])
  rownames(m) <- paste0("x", seq_len(p))
  digits <- sample(c(3, 4, 4, 4, 6), 1)
  list(table = unname(apply(m, 1, exact, simplify = FALSE)), digits = digits,
       text = I(capture.output(printCoefmat(m, digits = digits))))
})

word <- function(from = 1, to = 12) paste0("v", paste(sample(letters, sample(from:to, 1), TRUE), collapse = ""))
letter_mix <- c(letters, LETTERS, 0:9, ":", "(", ")", ".", "_", " ", " ", rep(c("a", "e", "i", "o", "u"), 2))
names <- c(lapply(1:120, function(i) paste(sample(letter_mix, sample(3:30, 1), TRUE), collapse = "")),
  lapply(1:60, function(i) unique(paste0(sample(c("treatment", "level", "dose", "Type"), 9, TRUE),
    sample(c("A", "B", "low", "high", "1", "2", "33"), 9, TRUE),
    sample(c("", ":sexF", ":ageGroup2"), 9, TRUE)))))
abbreviated <- lapply(names, function(x) {
  minlength <- sample(c(3, 4, 6, 11), 1)
  list(names = I(x), minlength = minlength, short = I(unname(abbreviate(x, minlength))))
})

tables <- lapply(1:20, function(i) {
  n <- sample(1:5, 1)
  p <- sample(1:14, 1)
  m <- matrix(replicate(n * p, word()), n, p, dimnames = list(replicate(n, word()), replicate(p, word())))
  right <- i %% 2 == 0
  v <- setNames(m[1, ], colnames(m))
  gap <- sample(1:2, 1)
  list(cells = unname(apply(m, 1, I, simplify = FALSE)), rows = I(rownames(m)), columns = I(colnames(m)), right = right,
    text = I(capture.output(print(m, quote = FALSE, right = right))), gap = gap,
    vector = I(capture.output(print.default(v, quote = FALSE, print.gap = gap))))
})

term <- function() {
  a <- word(1, 20)
  b <- word(1, 20)
  switch(sample(9, 1), a, a, paste0("log(", a, ")"), paste0("I(", a, "^2)"), paste0("poly(", a, ", 2)"),
    paste(a, "*", b), paste0(a, ":", b), paste0("(1 | ", a, "/", b, ")"),
    paste0("(1 + ", a, " + ", word(), " | ", b, ")"))
}
formulas <- lapply(1:80, function(i) {
  right <- paste(replicate(sample(1:8, 1), term()), collapse = " + ")
  f <- as.formula(paste(word(1, 20), "~", right))
  list(formula = paste(trimws(deparse(f)), collapse = " "),
    text = I(capture.output(cat("Formula:", deparse(f), fill = TRUE))))
})
jsonlite::write_json(list(numbers = numbers, rounded = rounded, coefficients = coefficients,
  abbreviated = abbreviated, tables = tables, formulas = formulas),
  "tests/expected/rformat/cases.json", auto_unbox = TRUE)
