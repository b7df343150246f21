# Fits many data sets of one model in one call and returns the estimates as one vector of doubles.
#
# pp_batch_lme4(request) and pp_batch_nlme(request) stand on fit.R, which is sourced before. A request
# is one of fit.R in which each vector of `data` holds the rows of all data sets, one after the other,
# and `rows` says how many belong to each. `levels_of`, if there, holds the levels of each in the place
# of `levels`. With `fixed_design` neighbours are expected to differ in the response alone.
#
# The answer has `numbers` (all doubles of all answers, in their order), `shapes` (the distinct kinds
# of answers, a vector of doubles standing as its length), `shape_of` and `messages_of` (which kind
# each answer is, and how many of the `messages` belong to it), and `versions`.

pp_batch_lme4 <- function(request) {
  formula <- pp_lmer_formula(request)
  controls <- pp_lmer_controls(request)
  whole <- function(data) pp_lmer_steps(formula, data, request$REML, controls)
  fit <- if (isTRUE(request$fixed_design)) pp_lmer_again(formula, request, whole) else whole
  labels <- function(fit) dimnames(fit@pp$X)[[2]]
  pp_batch(request, c("lme4", "Matrix"), fit, labels, pp_lmer_estimates, pp_lmer_numbers)
}

pp_batch_nlme <- function(request) {
  labels <- function(fit) names(nlme::fixef(fit))
  pp_batch(request, "nlme", pp_lme_quick(request), labels, pp_lme_estimates, pp_lme_numbers)
}

# estimates(fit) is the slow and safe way to the numbers, numbers(fit) the fast one. The fast one is
# believed where both gave the same bits for the first fit of this model in this process, and only
# for fits with the same fixed effects.
pp_batch <- function(request, packages, fit, labels, estimates, numbers) {
  before <- pp_options()
  on.exit(options(before))
  rows <- split(seq_len(sum(request$rows)), rep(seq_along(request$rows), request$rows))
  belief <- pp_belief(packages, request)
  read <- function(found) {
    if (belief$believed && identical(labels(found$fit), belief$labels)) {
      return(list(numbers = c(numbers(found$fit), found$seconds)))
    }
    answer <- c(estimates(found$fit), list(seconds = found$seconds))
    if (is.null(belief$labels)) {
      belief$labels <- labels(found$fit)
      belief$shape <- pp_shape(answer)
      belief$believed <- identical(c(numbers(found$fit), found$seconds), pp_flat(answer))
    }
    answer
  }
  answers <- lapply(seq_along(rows), function(i) {
    levels <- if (is.null(request$levels_of)) request$levels else request$levels_of[[i]]
    pp_caught(request$limit, function() {
      read(fit(pp_frame(lapply(request$data, `[`, rows[[i]]), levels)))
    })
  })
  c(pp_pack(answers, belief$shape), list(versions = pp_versions(packages)))
}

pp_beliefs <- new.env()
pp_beliefs$all <- list()

# What is known of the fast way for a model: `believed`, and the `labels` and `shape` of its answers.
pp_belief <- function(packages, request) {
  asked <- list(packages, request[c("response", "intercept", "fixed", "random", "REML", "control")])
  for (belief in pp_beliefs$all) if (identical(belief$asked, asked)) return(belief)
  belief <- list2env(list(asked = asked, labels = NULL, shape = NULL, believed = FALSE))
  pp_beliefs$all <- c(pp_beliefs$all, belief)
  belief
}

# The quick answers have no shape of their own: it is that of the first slow one.
pp_pack <- function(answers, shape) {
  messages <- lapply(answers, `[[`, "messages")
  quick <- vapply(answers, function(answer) !is.null(answer$numbers), NA)
  slow <- lapply(answers[!quick], function(answer) answer[names(answer) != "messages"])
  numbers <- vector("list", length(answers))
  numbers[quick] <- lapply(answers[quick], `[[`, "numbers")
  numbers[!quick] <- lapply(slow, pp_flat)
  shape_of <- rep(1, length(answers))
  shape_of[!quick] <- seq_along(slow) + any(quick)
  list(
    numbers = as.double(unlist(numbers, use.names = FALSE)),
    shapes = c(if (any(quick)) list(shape), lapply(slow, pp_shape)),
    shape_of = shape_of,
    messages = as.character(unlist(messages, use.names = FALSE)),
    messages_of = as.double(lengths(messages, use.names = FALSE))
  )
}

# Text stays; a vector of numbers becomes its length.
pp_shape <- function(x) {
  if (is.list(x)) lapply(x, pp_shape) else if (is.character(x)) x else as.double(length(x))
}

pp_flat <- function(answer) {
  as.double(unlist(rapply(answer, as.double, c("numeric", "integer", "logical")), use.names = FALSE))
}

# What pp_lmer_estimates() gives, from the slots of the fit: the accessors take a tenth of lmer().
pp_lmer_numbers <- function(fit) {
  cov <- pp_lmer_vcov(fit)
  sigma <- stats::sigma(fit)
  compared <- fit@devcomp$cmp
  deviance <- if (fit@devcomp$dims[["REML"]] > 0) compared[["REML"]] else compared[["dev"]]
  tolerance <- getOption("lme4.singular.tolerance", 1e-4)
  c(fit@beta, cov, sqrt(diag(cov)), pp_lmer_variances(fit, sigma), sigma, -deviance / 2,
    pp_lmer_converged(fit), any(fit@theta[fit@lower == 0] < tolerance), use.names = FALSE)
}

pp_lmer_variances <- function(fit, sigma) {
  sizes <- lengths(fit@cnms)
  last <- cumsum(sizes * (sizes + 1) / 2)
  unlist(lapply(seq_along(sizes), function(i) {
    q <- sizes[[i]]
    factor <- matrix(0, q, q)
    factor[lower.tri(factor, diag = TRUE)] <- fit@theta[seq.int(to = last[[i]], length.out = q * (q + 1) / 2)]
    tcrossprod(sigma * factor)
  }), use.names = FALSE)
}

# What pp_lme_estimates() gives. NA is its `singular`.
pp_lme_numbers <- function(fit) {
  sigma <- stats::sigma(fit)
  variances <- lapply(fit$modelStruct$reStruct, function(pd) nlme::pdMatrix(pd) * sigma^2)
  c(nlme::fixef(fit), fit$varFix, pp_lme_se(fit), unlist(variances, use.names = FALSE), sigma,
    fit$logLik, 1, NA, use.names = FALSE)
}

# lme() without its last step, the covariance of its variance parameters (apVar): a third of its time,
# and no part of an answer. That step can end lme() in an error, by a Hessian that is singular or not
# finite, where a variance is next to 0 or a parameter is 0. There lme() is run as it comes, at once
# after a fit that was there too.
pp_lme_quick <- function(request) {
  whole <- pp_lme_fitter(request)
  short <- pp_lme_fitter(request, apVar = FALSE)
  regular <- TRUE
  function(data) {
    found <- if (regular) short(data)
    if (is.null(found) || !pp_lme_regular(found$fit)) found <- whole(data)
    regular <<- pp_lme_regular(found$fit)
    found
  }
}

# Each term one effect with a standard deviation above a hundredth of the residual's: the differences
# of the log-likelihood that make the Hessian are then far above rounding.
pp_lme_regular <- function(fit) {
  structures <- fit$modelStruct$reStruct
  if (any(lengths(lapply(structures, nlme::Names)) > 1L)) return(FALSE)
  parameters <- c(unlist(lapply(structures, stats::coef)), log(fit$sigma))
  all(is.finite(parameters), parameters != 0, parameters[-length(parameters)] > log(0.01))
}

# lmer() in its own parts, the first of which depends on the design alone: lFormula() is run once for
# neighbours whose data are identical but for the response. That the answers are the same bits as
# lmer()'s is tried on the first of them; where they are not, or where lmer() is made of other parts,
# lmer() itself is called.
# lme4::refit() would not do: it starts from the last optimum and leaves out lmer()'s restart at the
# boundary, so its answers are other bits.
pp_lmer_again <- function(formula, request, whole) {
  design <- NULL
  parts <- NULL
  control <- NULL
  trusted <- length(request$control) == 1L
  again <- function(data) {
    began <- Sys.time()
    frame <- parts$fr
    frame[[request$response]] <- data[[request$response]]
    fit <- pp_lmer_from_parts(parts, frame, control)
    list(fit = fit, seconds = pp_seconds_since(began))
  }
  take <- function(data) {
    design <<- data[names(data) != request$response]
    control <<- pp_lmer_controls(request)[[1]]
    parts <<- lme4::lFormula(formula, data = data, REML = request$REML, control = control)
  }
  function(data) {
    if (!trusted) return(whole(data))
    if (identical(data[names(data) != request$response], design)) return(again(data))
    found <- whole(data)
    trusted <<- tryCatch({
      take(data)
      identical(pp_lmer_estimates(again(data)$fit), pp_lmer_estimates(found$fit))
    }, error = function(e) FALSE)
    found
  }
}

# The body of lmer() after lFormula() (lme4 1.1-31).
pp_lmer_from_parts <- function(parts, frame, control) {
  devfun <- lme4::mkLmerDevfun(frame, parts$X, parts$reTrms, REML = parts$REML, control = control)
  opt <- lme4::optimizeLmer(devfun,
    optimizer = control$optimizer, restart_edge = control$restart_edge,
    boundary.tol = control$boundary.tol, control = control$optCtrl,
    calc.derivs = control$calc.derivs, use.last.params = control$use.last.params)
  rho <- environment(devfun)
  checked <- lme4::checkConv(attr(opt, "derivs"), opt$par,
    ctrl = control$checkConv, lbound = rho$lower)
  lme4::mkMerMod(rho, opt, parts$reTrms, fr = frame, mc = quote(lmer()), lme4conv = checked)
}
