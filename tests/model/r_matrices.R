# The matrices that lme4 makes of formulas: what tests/model/formulas_in_r.py asks.
#
#   Rscript r_matrices.R FOLDER
#
# FOLDER holds formulas.txt, one a line, and for line i the data as i.csv; the answer, a JSON object
# a line, goes to standard output. A matrix is told by the sum of each column over the rows, each
# times sin(row): columns that differ anywhere differ in it.

suppressPackageStartupMessages({library(lme4); library(splines)})
options(contrasts = c("contr.treatment", "contr.poly"), digits = 17)

ignore <- lmerControl(check.nobs.vs.nlev = "ignore", check.nobs.vs.nRE = "ignore",
  check.nobs.vs.rankZ = "ignore", check.nlev.gtr.1 = "ignore", check.scaleX = "ignore",
  check.rankX = "silent.drop.cols")

told <- function(X) as.numeric(colSums(X * sin(seq_len(nrow(X)))))

# The columns of a random term: of Zt, the rows of one effect over all levels add up to them.
effects_of <- function(Zt, q) {
  lapply(seq_len(q), function(k) sum(Matrix::colSums(Zt[seq(k, nrow(Zt), by = q), , drop = FALSE]) *
    sin(seq_len(ncol(Zt)))))
}

# A partition of the rows, whatever its levels are called.
partition <- function(f) sum(match(f, unique(f)) * sin(seq_along(f)))

answer <- function(text, data) {
  formula <- stats::as.formula(str2lang(text))
  if (length(lme4::findbars(formula)) == 0) {
    X <- stats::model.matrix(formula, data)
    return(list(names = colnames(X), X = told(X)))
  }
  parts <- lme4::lFormula(formula, data, control = ignore)
  terms <- parts$reTrms
  factors <- terms$flist[attr(terms$flist, "assign")]
  list(
    names = colnames(parts$X), X = told(parts$X),
    effects = lapply(unname(terms$cnms), as.list),
    Z = unname(Map(function(Zt, names) effects_of(Zt, length(names)), terms$Ztlist, terms$cnms)),
    groups = unname(lapply(factors, partition)), levels = unname(lapply(factors, nlevels))
  )
}

folder <- commandArgs(trailingOnly = TRUE)[[1]]
lines <- readLines(file.path(folder, "formulas.txt"), encoding = "UTF-8")
for (i in seq_along(lines)) {
  data <- read.csv(file.path(folder, paste0(i, ".csv")), check.names = FALSE, encoding = "UTF-8",
    stringsAsFactors = TRUE)
  levels <- file.path(folder, paste0(i, ".ordered"))
  if (file.exists(levels)) for (name in readLines(levels)) data[[name]] <- as.ordered(data[[name]])
  found <- tryCatch(suppressWarnings(suppressMessages(answer(lines[[i]], data))),
    error = function(e) list(error = conditionMessage(e)))
  cat(jsonlite::toJSON(found, auto_unbox = FALSE, digits = I(17)), "\n", sep = "")
}
