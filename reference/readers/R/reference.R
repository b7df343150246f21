# The reference set in R: base R and jsonlite; testthat only inside of expect_reference().
#
#   source("reference.R")
#   item <- read_reference("../../items-gpl/sleepstudy.reml")
#   fit <- lme4::lmer(as.formula(item$model$formula), reference_data(item), REML = item$reml)
#   reference_digits(fit, item)
#   testthat::test_that("lmer is right on sleepstudy", expect_reference(fit, item))
#
#   item <- read_reference("../../glmm/items-gpl/cbpp.laplace")
#   fit <- lme4::glmer(as.formula(item$model$formula), reference_data(item), item$model$family)

#' An item: item.json as lists, with `folder`, and `reml`, whether the criterion is REML's.
read_reference <- function(folder) {
  item <- jsonlite::fromJSON(file.path(folder, "item.json"), simplifyVector = FALSE)
  item$folder <- folder
  item$reml <- item$model$criterion == "lmm-reml"
  item
}

#' The data, with every double to the bit; factors have their levels in coding order.
reference_data <- function(item) {
  cells <- if (is.null(item$data$generator)) {
    read.csv(file.path(item$folder, "doubles.csv"), colClasses = "character", check.names = FALSE)
  } else {
    reference_generated(item$data$generator)
  }
  parts <- unlist(lapply(.columns(item), `[[`, "parts"), recursive = FALSE)
  parts <- c(parts, item$model$trials, item$model$offset) # of generalised models
  numeric <- Filter(function(part) is.null(part$level), parts)
  numbers <- unique(c(item$model$response, vapply(numeric, `[[`, "", "column")))
  for (name in names(cells)) {
    levels <- unlist(item$model$factors[[name]])
    cells[[name]] <- if (name %in% numbers) {
      as.numeric(cells[[name]])
    } else {
      factor(cells[[name]], levels = if (is.null(levels)) unique(cells[[name]]) else levels)
    }
  }
  cells
}

#' Data that are made (README.md, "Data that are made"): every number is whole and below 2^53.
reference_generated <- function(recipe) {
  state <- recipe$seed
  draw <- function(bits) {
    state <<- (48271 * state) %% 2147483647
    (state %/% 65536) %% 2^bits
  }
  noise <- function() draw(15) + draw(15) + draw(15) + draw(15) - 65534
  sizes <- rep_len(unlist(recipe$sizes), recipe$clusters)
  n <- sum(sizes)
  y <- x <- g <- numeric(n)
  row <- 0
  for (cluster in seq_len(recipe$clusters)) {
    level <- floor(recipe$between * noise() / 64)
    for (i in seq_len(sizes[cluster])) {
      row <- row + 1
      x[row] <- draw(4)
      y[row] <- level + recipe$slope * x[row] + noise()
      g[row] <- cluster
    }
  }
  data.frame(y = format(y, scientific = FALSE, trim = TRUE), g = as.character(g), x = as.character(x))
}

#' The item's model matrix of the fixed effects; columns are called by its labels.
reference_matrix <- function(item, data = reference_data(item)) {
  X <- vapply(item$model$fixed, function(column) .column(column$parts, data), numeric(nrow(data)))
  colnames(X) <- vapply(item$model$fixed, `[[`, "", "label")
  X
}

#' Digits that a fit has right, by quantity: the fewest of each. Log relative errors, at most 15;
#' against an exact 0, of the absolute error in units of the standard error or of sigma^2.
reference_digits <- function(fit, item, quantities = .quantities(fit, item)) {
  found <- .answers(fit)
  expected <- reference_matrix(item)
  same <- identical(dim(found$X), dim(unname(expected))) &&
    max(abs(found$X - unname(expected))) <= 1e-9 * max(abs(expected))
  if (!same) {
    stop("the fit's model matrix is not that of ", item$id, ": other rows, contrasts or columns")
  }
  digits <- lapply(quantities, function(name) switch(name,
    random_cov = .random_digits(found$random, item),
    .lre(found[[name]], .value(item, name), .unit(item, name))
  ))
  names(digits) <- quantities
  vapply(digits, function(d) min(d, 15), 0)
}

#' A test that a fit is right: a merMod, an lme or a glmmTMB, against an item.
expect_reference <- function(fit, item,
                             digits = c(loglik = 8, beta = 4, beta_se = 3, sigma = 4, random_cov = 3)) {
  found <- reference_digits(fit, item, intersect(.quantities(fit, item), names(digits)))
  for (name in names(found)) {
    testthat::expect(
      found[[name]] >= digits[[name]],
      sprintf("%s: %s has %.1f digits, not %g", item$id, name, found[[name]], digits[[name]])
    )
  }
  invisible(found)
}

#' Certified tests by definition, "kenward-roger" say: degrees of freedom and standard errors by
#' fixed effect, the latter those of the values where the definition has none of its own.
reference_tests <- function(item, definition) {
  tables <- item$inference[[definition]]
  if (is.null(tables)) stop(item$id, " has no ", definition, "; it has ", toString(names(item$inference)))
  se <- if (is.null(tables$beta_se)) item$values$beta_se else tables$beta_se
  data.frame(beta_se = as.numeric(unlist(se$value)), df = as.numeric(unlist(tables$df$value)),
             row.names = unlist(tables$df$row))
}

.columns <- function(item) {
  c(item$model$fixed, unlist(lapply(item$model$random, `[[`, "columns"), recursive = FALSE))
}

.column <- function(parts, data) {
  values <- rep(1, nrow(data))
  for (part in parts) {
    cells <- data[[part$column]]
    values <- values * if (is.null(part$level)) cells else as.numeric(as.character(cells) == part$level)
  }
  values
}

.value <- function(item, name) as.numeric(unlist(item$values[[name]]$value))

.unit <- function(item, name) {
  switch(name, beta = , beta_se = .value(item, "beta_se"), sigma = .value(item, "sigma"), 1)
}

.lre <- function(x, truth, unit) {
  if (any(!is.finite(x))) return(0)
  size <- ifelse(truth == 0, unit, abs(truth))
  digits <- -log10(abs(x - truth) / size)
  min(pmin(15, pmax(0, digits)))
}

# glmmTMB's standard errors are from the joint information of all parameters: another definition.
# A generalised model has no sigma, and its standard errors are from that in either package.
.quantities <- function(fit, item) {
  general <- is.null(item$values$sigma)
  c("loglik", "beta", if (general || !inherits(fit, "glmmTMB")) "beta_se", if (!general) "sigma", "random_cov")
}

.random_digits <- function(random, item) {
  worst <- 15
  names(random) <- vapply(names(random), .sorted, "")
  for (term in unique(vapply(item$model$random, `[[`, "", "group"))) {
    table <- item$values[[paste0("random_cov[", term, "]")]]
    rows <- unlist(table$row)
    found <- random[[.sorted(term)]]
    if (is.null(found)) stop("the fit has no grouping factor ", term)
    at <- cbind(match(rows, unique(rows)), match(unlist(table$column), unique(rows)))
    truth <- as.numeric(unlist(table$value))
    unit <- if (is.null(item$values$sigma)) 1 else .value(item, "sigma")^2
    worst <- min(worst, .lre(found[at], truth, unit))
  }
  worst
}

.sorted <- function(group) paste(sort(strsplit(group, ":")[[1]]), collapse = ":")

.answers <- function(fit) {
  if (inherits(fit, "merMod")) return(.of_mer(fit))
  if (inherits(fit, "lme")) return(.of_lme(fit))
  if (inherits(fit, "glmmTMB")) return(.of_glmmtmb(fit))
  stop("a fit of class ", class(fit)[1], "; taken are merMod, lme and glmmTMB")
}

.of_mer <- function(fit) {
  .answer(lme4::getME(fit, "X"), lme4::fixef(fit), as.matrix(stats::vcov(fit)), stats::sigma(fit),
          stats::logLik(fit), .joined(lme4::VarCorr(fit)))
}

.of_glmmtmb <- function(fit) {
  .answer(glmmTMB::getME(fit, "X"), glmmTMB::fixef(fit)$cond, stats::vcov(fit)$cond,
          stats::sigma(fit), stats::logLik(fit), .joined(glmmTMB::VarCorr(fit)$cond))
}

# The levels of nlme are nested, the outermost first: each is called by all groups down to it.
.of_lme <- function(fit) {
  parts <- as.matrix(fit$modelStruct$reStruct)
  names(parts) <- Reduce(function(a, b) paste(a, b, sep = ":"), names(parts), accumulate = TRUE)
  X <- stats::model.matrix(stats::formula(fit), nlme::getData(fit))
  .answer(X, nlme::fixef(fit), stats::vcov(fit), fit$sigma, stats::logLik(fit),
          lapply(parts, function(m) unclass(m) * fit$sigma^2))
}

.answer <- function(X, beta, cov, sigma, loglik, random) {
  list(X = unname(as.matrix(X)), beta = unname(beta), beta_se = unname(sqrt(diag(cov))),
       sigma = sigma, loglik = as.numeric(loglik), random = random)
}

# Several terms of one group, Subject and Subject.1, side by side.
.joined <- function(parts) {
  groups <- sub("\\.[0-9]+$", "", names(parts))
  sapply(unique(groups), function(group) {
    own <- lapply(parts[groups == group], function(m) matrix(as.numeric(m), nrow(m)))
    Reduce(function(a, b) {
      rbind(cbind(a, matrix(0, nrow(a), ncol(b))), cbind(matrix(0, nrow(b), ncol(a)), b))
    }, own)
  }, simplify = FALSE)
}
