# What R reports about the fixed effects of a linear mixed model: tests, degrees of freedom, intervals.
#
#   Rscript r/inference.R REQUEST.json DATA.csv     prints one JSON document
#
# REQUEST.json has what fit.R beside this file takes of a request, twice: `lme4` and, where lme() can
# express the model, `nlme`; and `means` (a factor whose marginal means are wanted, or null). The
# data are DATA.csv, factors as codes from 1. Nothing of it is parsed as R code: formulas are built
# from symbols. Packages that are not installed are named in `missing`, and what they would give is
# left out; `said` has what R said of what it did not give.

has <- function(package) requireNamespace(package, quietly = TRUE)

LARGE <- 3000 # rows: pbkrtest makes matrices of rows by rows; emmeans has the same limit

read_data <- function(path, levels) {
  data <- utils::read.csv(path, check.names = FALSE, colClasses = "character")
  pp_frame(lapply(data, as.numeric), lapply(levels, unlist))
}

table_of <- function(term, estimate, se, df, statistic, p, lower, upper) {
  data.frame(term = term, estimate = estimate, se = se, df = df, statistic = statistic, p = p,
    lower = lower, upper = upper, stringsAsFactors = FALSE, row.names = NULL)
}

# Estimates with a t interval on given degrees of freedom (Inf: Wald z).
by_t <- function(term, estimate, se, df) {
  t <- estimate / se
  reach <- stats::qt(0.975, df) * se
  table_of(term, estimate, se, df, t, 2 * stats::pt(-abs(t), df), estimate - reach, estimate + reach)
}

kenward_roger <- function(fit) {
  beta <- lme4::fixef(fit)
  adjusted <- pbkrtest::vcovAdj(fit)
  df <- vapply(seq_along(beta), function(k) {
    L <- as.numeric(seq_along(beta) == k)
    pbkrtest::Lb_ddf(L, stats::vcov(fit), adjusted)
  }, 0)
  by_t(names(beta), unname(beta), sqrt(diag(as.matrix(adjusted))), df)
}

satterthwaite <- function(fit) {
  found <- stats::coef(summary(fit, ddf = "Satterthwaite"))
  by_t(rownames(found), unname(found[, 1]), unname(found[, 2]), unname(found[, "df"]))
}

containment <- function(fit) {
  found <- summary(fit)$tTable
  by_t(rownames(found), unname(found[, 1]), unname(found[, 2]), unname(found[, "DF"]))
}

wald <- function(fit) {
  beta <- lme4::fixef(fit)
  by_t(names(beta), unname(beta), sqrt(diag(as.matrix(stats::vcov(fit)))), rep(Inf, length(beta)))
}

# A list of the coefficients' rows L of each term, by its name; none of the intercept.
term_rows <- function(fit) {
  X <- lme4::getME(fit, "X")
  assign <- attr(stats::model.matrix(fit), "assign")
  labels <- attr(stats::terms(fit), "term.labels")
  rows <- lapply(seq_along(labels), function(i) diag(ncol(X))[assign == i, , drop = FALSE])
  stats::setNames(rows, labels)
}

f_of <- function(term, above, below, F, p) {
  cbind(table_of(term, NA, NA, below, F, p, NA, NA), df_above = above)
}

f_kenward_roger <- function(fit) {
  rows <- term_rows(fit)
  parts <- Map(function(term, L) {
    test <- pbkrtest::KRmodcomp(fit, L)$test["Ftest", ]
    f_of(term, nrow(L), test$ddf, test$stat, test$p.value)
  }, names(rows), rows)
  do.call(rbind, unname(parts))
}

f_satterthwaite <- function(fit) {
  rows <- term_rows(fit)
  parts <- Map(function(term, L) {
    test <- lmerTest::contestMD(fit, L)
    f_of(term, nrow(L), test$DenDF, test[["F value"]], test[["Pr(>F)"]])
  }, names(rows), rows)
  do.call(rbind, unname(parts))
}

# Profile intervals of the fixed effects; lme4 profiles the ML deviance.
profile_intervals <- function(fit) {
  on.exit(setTimeLimit())
  setTimeLimit(elapsed = 60, transient = TRUE)
  ml <- if (lme4::isREML(fit)) lme4::refitML(fit) else fit
  beta <- lme4::fixef(ml)
  found <- suppressMessages(stats::confint(ml, parm = "beta_", method = "profile", quiet = TRUE))
  table_of(names(beta), unname(beta), NA, NA, NA, NA, unname(found[, 1]), unname(found[, 2]))
}

# Each term left out, both models by ML; drop1() keeps to the rules of marginality.
likelihood_ratio <- function(fit) {
  ml <- if (lme4::isREML(fit)) lme4::refitML(fit) else fit
  found <- stats::drop1(ml, test = "Chisq")[-1, , drop = FALSE]
  if (nrow(found) == 0) return(NULL)
  table_of(rownames(found), NA, NA, found$npar, found$LRT, found[["Pr(Chi)"]], NA, NA)
}

emmeans_table <- function(found, term) {
  found <- as.data.frame(summary(found, infer = c(TRUE, TRUE)))
  lower <- if (is.null(found$lower.CL)) found$asymp.LCL else found$lower.CL
  upper <- if (is.null(found$upper.CL)) found$asymp.UCL else found$upper.CL
  ratio <- if (is.null(found$t.ratio)) found$z.ratio else found$t.ratio
  mean <- if (is.null(found$emmean)) found$estimate else found$emmean
  table_of(as.character(found[[1]]), mean, found$SE, found$df, ratio, found$p.value, lower, upper)
}

# Marginal means of a factor and the differences of all pairs, not adjusted for their number.
marginal_means <- function(fit, factor, data, ...) {
  found <- suppressMessages(emmeans::emmeans(fit, factor, data = data, ...))
  pairs <- suppressMessages(emmeans::contrast(found, "pairwise", adjust = "none"))
  means <- emmeans_table(found)
  contrasts <- emmeans_table(pairs)
  # By the levels alone: emmeans writes Diet1 for a level 1, and puts others in brackets.
  contrasts$term <- utils::combn(means$term, 2, paste, collapse = " - ")
  list(means = means, contrasts = contrasts)
}

# Nakagawa and Schielzeth (2013), eq. 26 and 27, slopes by Johnson (2014), eq. 10; and the
# intraclass correlation.
explained <- function(fit) {
  Z <- lme4::getME(fit, "mmList")
  covariances <- lme4::VarCorr(fit)
  between <- sum(unlist(Map(function(z, S) mean(rowSums((z %*% S) * z)), Z, unclass(covariances))))
  within <- stats::sigma(fit)^2
  fixed <- stats::var(as.numeric(lme4::getME(fit, "X") %*% lme4::fixef(fit)))
  total <- between + within + fixed
  values <- c(between / (between + within), fixed / total, (fixed + between) / total)
  table_of(c("ICC", "marginal R2", "conditional R2"), values, NA, NA, NA, NA, NA, NA)
}

# lmer(), each step from the one before. The call that a fit keeps holds the data and not a name, so
# that drop1(), lmerTest and emmeans find them.
fitted_by_lmer <- function(asked, data) {
  start <- NULL
  for (control in pp_lmer_controls(asked)) {
    fit <- do.call(lme4::lmer, c(
      list(pp_lmer_formula(asked), data = data, REML = asked$REML, control = control),
      if (!is.null(start)) list(start = start),
      if (!is.null(data$pp.weights)) list(weights = quote(pp.weights))
    ))
    start <- fit@theta
  }
  fit
}

inference <- function(request, data) {
  asked <- request$lme4
  said <- character()
  # What a package does not give is left out, with its words.
  try_for <- function(what, value) tryCatch(value, error = function(e) {
    said <<- c(said, paste0(what, ": ", conditionMessage(e)))
    NULL
  })
  fit <- fitted_by_lmer(asked, data)
  small <- nrow(data) <= LARGE
  if (!small) said <- c(said, paste("Kenward-Roger: not asked of", nrow(data), "rows"))
  kr <- has("pbkrtest") && asked$REML && small
  tested <- if (has("lmerTest")) try_for("lmerTest", lmerTest::as_lmerModLmerTest(fit))
  lme <- if (!is.null(request$nlme)) try_for("lme", pp_lme_fitter(request$nlme)(data)$fit)
  plain <- pp_formula(list(as.name(asked$response), pp_sum(asked$intercept, asked$fixed)))
  weighted <- !is.null(data$pp.weights)
  lm <- if (!weighted) stats::lm(plain, data = data)
  means <- function(what, ...) if (!is.null(request$means) && has("emmeans")) {
    try_for(what, marginal_means(..., factor = request$means, data = data))
  }
  by_lm <- if (!weighted) means("means:lm", lm)
  by_kr <- if (kr) means("means:kenward-roger", fit, lmer.df = "kenward-roger")
  by_satterthwaite <- if (!is.null(tested)) {
    means("means:satterthwaite", fit, lmer.df = "satterthwaite", lmerTest.limit = nrow(data))
  }
  by_z <- means("means:asymptotic", fit, lmer.df = "asymptotic")
  tables <- list(
    "kenward-roger" = if (kr) try_for("pbkrtest", kenward_roger(fit)),
    "satterthwaite" = if (!is.null(tested)) try_for("lmerTest", satterthwaite(tested)),
    "containment" = if (!is.null(lme)) containment(lme),
    "wald" = wald(fit),
    "profile" = try_for("confint", profile_intervals(fit)),
    "f:kenward-roger" = if (kr) try_for("KRmodcomp", f_kenward_roger(fit)),
    "f:satterthwaite" = if (!is.null(tested)) try_for("contestMD", f_satterthwaite(tested)),
    "likelihood-ratio" = try_for("drop1", likelihood_ratio(fit)),
    "explained" = if (!weighted) explained(fit),
    "means:lm" = by_lm$means,
    "means:kenward-roger" = by_kr$means,
    "means:satterthwaite" = by_satterthwaite$means,
    "means:asymptotic" = by_z$means,
    "contrasts:lm" = by_lm$contrasts,
    "contrasts:kenward-roger" = by_kr$contrasts,
    "contrasts:satterthwaite" = by_satterthwaite$contrasts,
    "contrasts:asymptotic" = by_z$contrasts
  )
  wanted <- c("emmeans", "pbkrtest", "lmerTest")
  packages <- Filter(has, c("lme4", "nlme", wanted))
  versions <- lapply(packages, getNamespaceVersion)
  list(
    tables = Filter(Negate(is.null), tables),
    missing = as.list(Filter(Negate(has), wanted)),
    said = as.list(said),
    versions = c(list(R = as.character(getRversion())), stats::setNames(lapply(versions, unname), packages))
  )
}

# The functions of fit.R, which lies beside this file.
own <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)[[1]])
own <- gsub("~+~", " ", own, fixed = TRUE)  # as R hands over a path with a space
source(file.path(dirname(own), "fit.R"))

# A list of bare values, as fit.R takes its requests from Python.
plain_terms <- function(terms) lapply(terms, unlist)
plain_block <- function(block) { block$terms <- plain_terms(block$terms); block }
plain_level <- function(level) {
  if (!is.null(level$terms)) level$terms <- plain_terms(level$terms)
  if (!is.null(level$blocks)) level$blocks <- lapply(level$blocks, plain_block)
  level
}
plain_request <- function(request) {
  if (is.null(request)) return(NULL)
  request$fixed <- plain_terms(request$fixed)
  request$random <- lapply(request$random, plain_level)
  request
}

arguments <- commandArgs(trailingOnly = TRUE)
invisible(pp_options())
request <- jsonlite::fromJSON(arguments[[1]], simplifyVector = FALSE)
request$lme4 <- plain_request(request$lme4)
request$nlme <- plain_request(request$nlme)
answer <- suppressWarnings(inference(request, read_data(arguments[[2]], request$levels)))
# 17 digits: every double reads back to the same bits.
cat(jsonlite::toJSON(answer, dataframe = "columns", auto_unbox = TRUE, digits = I(17), na = "null"), "\n")
