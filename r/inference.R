# What R reports about the fixed effects of a linear mixed model: tests, degrees of freedom, intervals.
#
#   Rscript r/inference.R REQUEST.json DATA.csv     prints one JSON document
#
# REQUEST.json has: response, intercept, fixed (a list of terms, each a list of columns), group (the
# columns of a single random intercept), levels (labels of the factors), means (a factor whose
# marginal means are wanted, or null), method. Nothing of it is parsed as R code: formulas are built
# from symbols. Packages that are not installed are named in `missing`, and what they would give is
# left out.

has <- function(package) requireNamespace(package, quietly = TRUE)

product <- function(term) Reduce(function(a, b) call(":", a, b), lapply(unlist(term), as.name))

sum_of <- function(intercept, terms) {
  first <- if (intercept) 1 else 0
  Reduce(function(a, b) call("+", a, b), c(list(first), lapply(terms, product)))
}

formula_of <- function(sides) eval(as.call(c(as.name("~"), sides)), globalenv())

read_data <- function(path, levels) {
  data <- utils::read.csv(path, check.names = FALSE, colClasses = "character")
  for (name in names(data)) {
    of_factor <- unlist(levels[[name]])
    data[[name]] <- if (is.null(of_factor)) as.numeric(data[[name]]) else factor(data[[name]], of_factor)
  }
  data
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

satterthwaite <- function(formula, data, REML) {
  fit <- lmerTest::lmer(formula, data, REML = REML)
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

# Profile intervals of everything; sigma and the standard deviation between clusters included.
profile_intervals <- function(fit) {
  found <- suppressMessages(stats::confint(fit, method = "profile", oldNames = FALSE, quiet = TRUE))
  estimate <- c(as.data.frame(lme4::VarCorr(fit))$sdcor, unname(lme4::fixef(fit)))
  table_of(rownames(found), estimate, NA, NA, NA, NA, unname(found[, 1]), unname(found[, 2]))
}

# Each term left out, both models by ML; drop1() keeps to the rules of marginality.
likelihood_ratio <- function(fit) {
  ml <- if (lme4::isREML(fit)) lme4::refitML(fit) else fit
  found <- stats::drop1(ml, test = "Chisq")[-1, , drop = FALSE]
  if (nrow(found) == 0) return(NULL)
  table_of(rownames(found), NA, NA, found$npar, found$LRT, found[["Pr(Chi)"]], NA, NA)
}

marginal_means <- function(fit, factor, ...) {
  found <- as.data.frame(summary(emmeans::emmeans(fit, factor, ...), infer = c(TRUE, TRUE)))
  names(found)[1] <- "term"
  lower <- if (is.null(found$lower.CL)) found$asymp.LCL else found$lower.CL
  upper <- if (is.null(found$upper.CL)) found$asymp.UCL else found$upper.CL
  ratio <- if (is.null(found$t.ratio)) found$z.ratio else found$t.ratio
  table_of(as.character(found$term), found$emmean, found$SE, found$df, ratio, found$p.value, lower, upper)
}

# Nakagawa and Schielzeth (2013), eq. 26 and 27, and the intraclass correlation.
explained <- function(fit) {
  between <- sum(unlist(lapply(lme4::VarCorr(fit), diag)))
  within <- stats::sigma(fit)^2
  fixed <- stats::var(as.numeric(stats::model.matrix(fit) %*% lme4::fixef(fit)))
  total <- between + within + fixed
  values <- c(between / (between + within), fixed / total, (fixed + between) / total)
  table_of(c("ICC", "marginal R2", "conditional R2"), values, NA, NA, NA, NA, NA, NA)
}

inference <- function(request, data) {
  REML <- request$method == "REML"
  fixed <- sum_of(request$intercept, request$fixed)
  group <- product(request$group)
  bar <- call("(", call("|", 1, group))
  formula <- formula_of(list(as.name(request$response), call("+", fixed, bar)))
  plain <- formula_of(list(as.name(request$response), fixed))
  # Through do.call, so that the call inside a fit holds the formula and not a name of this function.
  lmer <- do.call(lme4::lmer, list(formula, data = data, REML = REML))
  lme <- tryCatch(do.call(nlme::lme, list(plain, data = data, random = formula_of(list(call("|", 1, group))),
    method = request$method)), error = function(e) NULL)
  lm <- do.call(stats::lm, list(plain, data = data))
  means <- request$means
  if (!is.null(means) && !has("emmeans")) means <- NULL
  missing <- Filter(Negate(has), c("emmeans", "pbkrtest", "lmerTest"))
  tables <- list(
    "kenward-roger" = if (has("pbkrtest") && REML) kenward_roger(lmer),
    "satterthwaite" = if (has("lmerTest")) satterthwaite(formula, data, REML),
    "containment" = if (!is.null(lme)) containment(lme),
    "wald" = wald(lmer),
    "profile" = tryCatch(profile_intervals(lmer), error = function(e) NULL),
    "likelihood-ratio" = likelihood_ratio(lmer),
    "explained" = explained(lmer),
    "means:lm" = if (!is.null(means)) marginal_means(lm, means),
    "means:kenward-roger" = if (!is.null(means) && has("pbkrtest") && REML) {
      marginal_means(lmer, means, lmer.df = "kenward-roger")
    },
    "means:satterthwaite" = if (!is.null(means) && has("lmerTest")) {
      marginal_means(lmer, means, lmer.df = "satterthwaite")
    },
    "means:asymptotic" = if (!is.null(means)) marginal_means(lmer, means, lmer.df = "asymptotic")
  )
  packages <- Filter(has, c("lme4", "nlme", "emmeans", "pbkrtest", "lmerTest"))
  versions <- lapply(packages, getNamespaceVersion)
  list(
    tables = Filter(Negate(is.null), tables),
    missing = as.list(missing),
    versions = c(list(R = as.character(getRversion())), stats::setNames(lapply(versions, unname), packages))
  )
}

arguments <- commandArgs(trailingOnly = TRUE)
options(contrasts = c("contr.treatment", "contr.poly"))
request <- jsonlite::fromJSON(arguments[[1]], simplifyVector = FALSE)
answer <- suppressWarnings(inference(request, read_data(arguments[[2]], request$levels)))
# 17 digits: every double reads back to the same bits.
cat(jsonlite::toJSON(answer, dataframe = "columns", auto_unbox = TRUE, digits = I(17), na = "null"), "\n")
