# Exports the data sets of crossnest.datasets from R packages, with a manifest of their columns,
# and R's own statistics of every column for the tests.
# Run from the root of the repository: Rscript tests/expected/reference/scripts/export_datasets.R
# Needs lme4, nlme, lmerTest, pbkrtest, mlmRev and jsonlite.
wanted <- list(
  lme4 = c("Arabidopsis", "cake", "Dyestuff", "Dyestuff2", "InstEval", "Pastes", "Penicillin", "sleepstudy"),
  nlme = c(
    "Alfalfa", "BodyWeight", "ergoStool", "Machines", "Oats", "Orthodont", "Oxboys", "Oxide", "Pixel", "Rail",
    "RatPupWeight"
  ),
  lmerTest = c("carrots", "ham", "TVbo"),
  pbkrtest = "beets",
  mlmRev = c("Chem97", "egsingle", "Exam", "Hsb82", "ScotsSec")
)
directory <- "python/crossnest/datasets/data"
dir.create(directory, showWarnings = FALSE)

# Whole numbers are integers whatever R stores them as, as pandas has it.
is_whole <- function(x) !anyNA(x) && all(x == round(x))

# Levels "1", ..., "n" are written as "1:n".
levels_json <- function(f) {
  l <- levels(f)
  if (identical(l, as.character(seq_along(l)))) sprintf("1:%d", length(l)) else I(l)
}

column_json <- function(x) {
  if (is.factor(x)) return(list(levels = levels_json(x), ordered = is.ordered(x)))
  if (is_whole(x)) "int64" else "float64"
}

statistics <- function(x) {
  v <- if (is.factor(x)) as.integer(x) else x
  list(mean = mean(v, na.rm = TRUE), sd = sd(v, na.rm = TRUE), first = v[1], last = v[length(v)], missing = sum(is.na(v)))
}

manifest <- list()
expected <- list()
for (package in names(wanted)) {
  for (dataset in wanted[[package]]) {
    found <- new.env()
    data(list = dataset, package = package, envir = found)
    frame <- as.data.frame(get(dataset, found))
    name <- tolower(dataset)
    con <- xzfile(file.path(directory, paste0(name, ".csv.xz")), "wb", compression = -9)
    write.csv(frame, con, row.names = FALSE, quote = FALSE, na = "")
    close(con)
    manifest[[name]] <- list(
      source = sprintf("%s::%s, version %s", package, dataset, packageVersion(package)),
      licence = packageDescription(package)$License, rows = nrow(frame), columns = lapply(frame, column_json)
    )
    expected[[name]] <- lapply(frame, statistics)
  }
}

write_entries <- function(entries, path) {
  entries <- entries[order(names(entries))]
  lines <- vapply(entries, jsonlite::toJSON, "", auto_unbox = TRUE, digits = NA)
  writeLines(c("{", paste(sprintf('"%s": %s', names(entries), lines), collapse = ",\n"), "}"), path)
}
write_entries(manifest, file.path(directory, "manifest.json"))
write_entries(expected, "tests/expected/reference/datasets/columns.json")
