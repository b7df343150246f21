# Fits a linear mixed model with lme4 or nlme and returns everything of the fit as plain vectors.
#
# pp_fit_lme4(request) and pp_fit_nlme(request) need base R and the engine; R >= 4.1. A request is
# a list of plain values; nothing in it is ever parsed as R code: formulas are built from symbols.
#
#   data       named list of double vectors and, for factors, of integer codes from 1
#   levels     named list of the level labels of the factors in `data`
#   response   name of a column
#   intercept  TRUE or FALSE
#   fixed      list of terms, a term being the names of the variables whose product it is
#   random     see pp_fit_lme4 and pp_fit_nlme
#   REML       TRUE or FALSE
# A column pp.weights of `data` holds prior weights: the residual variance of a row is sigma^2 / weight.
# A column pp.offset, for lme4 alone, is added to the linear predictor; lme() ignores an offset.
#   limit      elapsed seconds after which R-level code is stopped; Inf for none
#   control    list of settings of the engine
#
# The answer has `messages` (what the engine said), `seconds` (wall time within lmer or lme),
# `versions`, and either `error` (R's words) or the quantities of the fit.

pp_frame <- function(data, levels) {
  for (name in names(levels)) {
    data[[name]] <- structure(data[[name]], levels = levels[[name]], class = "factor")
  }
  list2DF(data)
}

pp_product <- function(term) Reduce(function(a, b) call(":", a, b), lapply(term, as.name))

pp_sum <- function(intercept, terms) {
  first <- if (intercept) 1 else 0
  Reduce(function(a, b) call("+", a, b), c(list(first), lapply(terms, pp_product)))
}

# Sides are one or two; the environment is one that holds no data.
pp_formula <- function(sides) eval(as.call(c(as.name("~"), sides)), globalenv())

pp_matrix <- function(x) {
  list(values = as.double(x), rows = as.character(rownames(x)), columns = as.character(colnames(x)))
}

pp_columns <- function(x) list(values = as.double(x), columns = colnames(x))

pp_named <- function(x) list(values = as.double(x), names = names(x))

# Runs body() and gives what it returned or R's words, all warnings and messages on the way, and the
# versions.
pp_answer <- function(packages, limit, body) {
  before <- pp_options()
  on.exit(options(before))
  answer <- pp_caught(limit, body)
  answer$versions <- pp_versions(packages)
  answer
}

# A caller's options(contrasts) must not change what is fitted.
pp_options <- function() {
  options(contrasts = c("contr.treatment", "contr.poly"), na.action = "na.fail")
}

pp_caught <- function(limit, body) {
  said <- character()
  listen <- function(restart) function(condition) {
    said <<- c(said, trimws(conditionMessage(condition)))
    invokeRestart(restart)
  }
  on.exit(setTimeLimit())
  answer <- tryCatch({
    setTimeLimit(elapsed = limit, transient = TRUE)
    withCallingHandlers(
      body(),
      warning = listen("muffleWarning"),
      message = listen("muffleMessage")
    )
  }, error = function(e) list(error = conditionMessage(e), seconds = 0))
  answer$messages <- said
  answer
}

pp_versions <- function(packages) {
  versions <- vapply(packages, getNamespaceVersion, "", USE.NAMES = FALSE)
  list(
    names = c("R", packages),
    values = c(paste(R.version$major, R.version$minor, sep = "."), versions)
  )
}

pp_seconds_since <- function(start) as.numeric(Sys.time()) - as.numeric(start)

# ---- lme4 ---------------------------------------------------------------------------------------

# random: list of list(group = name of a factor in `data`, intercept, terms)
# control: list of the steps, each a list of arguments of lmerControl(); a step starts at the theta
# of the one before. One empty list is lmer() as it comes.
# start: the theta of the first step; lmer()'s own where there is none.
pp_fit_lme4 <- function(request) {
  pp_answer(c("lme4", "Matrix"), request$limit, function() {
    data <- pp_frame(request$data, request$levels)
    fit <- pp_lmer_steps(pp_lmer_formula(request), data, request$REML, pp_lmer_controls(request),
      request$start)
    c(pp_lmer_quantities(fit$fit), list(seconds = fit$seconds))
  })
}

pp_lmer_formula <- function(request) {
  bars <- lapply(request$random, function(term) {
    call("(", call("|", pp_sum(term$intercept, term$terms), as.name(term$group)))
  })
  offset <- if (!is.null(request$data$pp.offset)) list(quote(offset(pp.offset)))
  right <- Reduce(function(a, b) call("+", a, b), c(bars, offset),
    pp_sum(request$intercept, request$fixed))
  pp_formula(list(as.name(request$response), right))
}

pp_lmer_controls <- function(request) {
  lapply(request$control, function(step) do.call(lme4::lmerControl, step))
}

pp_lmer_steps <- function(formula, data, REML, controls, start = NULL) {
  seconds <- 0
  for (control in controls) {
    fit <- pp_lmer(formula, data, REML, control, start)
    seconds <- seconds + fit$seconds
    start <- fit$fit@theta
  }
  list(fit = fit$fit, seconds = seconds)
}

# lmer() keeps its call: here that call holds names, not the data.
pp_lmer <- function(formula, data, REML, control, start) {
  began <- Sys.time()
  fit <- if (is.null(data$pp.weights)) {
    lme4::lmer(formula, data = data, REML = REML, control = control, start = start)
  } else {
    lme4::lmer(formula, data = data, REML = REML, control = control, start = start,
      weights = pp.weights)
  }
  list(fit = fit, seconds = pp_seconds_since(began))
}

pp_lmer_quantities <- function(fit) {
  modes <- lme4::ranef(fit, condVar = FALSE)
  blup <- Map(function(group, table) c(list(group = group), pp_matrix(as.matrix(table))),
    names(modes), unclass(modes), USE.NAMES = FALSE)
  c(pp_lmer_estimates(fit), list(
    blup = blup,
    fitted = as.double(stats::fitted(fit)) - fit@resp$offset,
    X = pp_columns(stats::model.matrix(fit)),
    y = as.double(stats::model.response(stats::model.frame(fit))) - fit@resp$offset
  ))
}

# Covariances of the random effects of each term, of lmer and of glmer.
pp_mer_random <- function(fit) {
  components <- lme4::VarCorr(fit)
  # VarCorr() names the second term of a group "g.1"; cnms has the group's own name.
  effects <- fit@cnms
  Map(function(group, names, matrix) {
    list(group = group, effects = names, values = as.double(matrix))
  }, names(effects), effects, components[seq_along(effects)], USE.NAMES = FALSE)
}

pp_lmer_estimates <- function(fit) {
  cov <- pp_lmer_vcov(fit)
  list(
    beta = pp_named(lme4::fixef(fit)),
    beta_cov = as.double(cov),
    beta_se = sqrt(diag(cov)),
    random = pp_mer_random(fit),
    sigma = stats::sigma(fit),
    loglik = as.double(stats::logLik(fit)),
    converged = pp_lmer_converged(fit),
    singular = lme4::isSingular(fit)
  )
}

# vcov() spends its time on checks and correlations of what this expression gives: it is the first
# line of vcov.merMod() (lme4 1.1-31 to 2.1-0). Where those checks would speak, vcov() is asked.
pp_lmer_vcov <- function(fit) {
  cov <- stats::sigma(fit)^2 * fit@pp$unsc()
  if (all(is.finite(cov)) && all(diag(cov) > 0)) cov else as.matrix(stats::vcov(fit))
}

# The optimiser's own code, and lmer's check of the gradient: a negative code, which the check of the
# Hessian that comes after it can overwrite, but not its words.
pp_lmer_converged <- function(fit) {
  state <- fit@optinfo$conv
  gradient <- any(unlist(state$lme4$code) < 0) ||
    any(grepl("failed to converge", unlist(state$lme4$messages), fixed = TRUE))
  all(state$opt == 0) && !gradient
}

# ---- nlme ---------------------------------------------------------------------------------------

# random: list of levels, outermost first: list(group = name of a factor in `data`, blocks), a block
# being list(class, intercept, terms) with the name of a pdMat class.
# control: list of arguments of lmeControl(); the empty list is lme() as it comes.
pp_fit_nlme <- function(request) {
  pp_answer("nlme", request$limit, function() {
    data <- pp_frame(request$data, request$levels)
    fit <- pp_lme_fitter(request)(data)
    c(pp_lme_quantities(fit$fit), list(seconds = fit$seconds))
  })
}

# What is asked, as a function of the data alone. Further arguments go to lmeControl().
pp_lme_fitter <- function(request, ...) {
  right <- pp_sum(request$intercept, request$fixed)
  fixed <- pp_formula(list(as.name(request$response), right))
  random <- lapply(request$random, function(level) pp_pd(level$blocks))
  names(random) <- vapply(request$random, function(level) level$group, "")
  method <- if (request$REML) "REML" else "ML"
  control <- do.call(nlme::lmeControl, c(request$control, list(...)))
  function(data) pp_lme(fixed, data, random, method, control)
}

pp_lme <- function(fixed, data, random, method, control) {
  weights <- NULL
  if (!is.null(data$pp.weights)) {
    data$pp.variance <- 1 / data$pp.weights
    weights <- nlme::varFixed(~ pp.variance)
  }
  began <- Sys.time()
  fit <- nlme::lme(fixed, data = data, random = random, method = method, control = control,
    weights = weights)
  list(fit = fit, seconds = pp_seconds_since(began))
}

# One block is a bare pdMat; several are independent of each other.
pp_pd <- function(blocks) {
  parts <- lapply(blocks, function(block) {
    class <- switch(block$class,
      pdLogChol = nlme::pdLogChol, pdDiag = nlme::pdDiag, pdIdent = nlme::pdIdent,
      stop("no pdMat class '", block$class, "' here"))
    class(pp_formula(list(pp_sum(block$intercept, block$terms))))
  })
  if (length(parts) == 1L) parts[[1]] else nlme::pdBlocked(parts)
}

pp_lme_quantities <- function(fit) {
  modes <- nlme::ranef(fit)
  if (is.data.frame(modes)) modes <- stats::setNames(list(modes), names(fit$modelStruct$reStruct))
  blup <- Map(function(group, table) c(list(group = group), pp_matrix(as.matrix(table))),
    names(modes), unclass(modes), USE.NAMES = FALSE)
  # fit$contrasts has those of the random part too, about which model.matrix() would warn.
  contrasts <- fit$contrasts[names(fit$contrasts) %in% all.vars(fit$terms)]
  c(pp_lme_estimates(fit), list(
    blup = blup,
    fitted = as.double(stats::fitted(fit)),
    X = pp_columns(stats::model.matrix(fit$terms, fit$data, contrasts)),
    y = as.double(eval(fit$terms[[2]], fit$data))
  ))
}

pp_lme_estimates <- function(fit) {
  sigma <- stats::sigma(fit)
  structures <- fit$modelStruct$reStruct
  random <- lapply(names(structures), function(group) {
    matrix <- nlme::pdMatrix(structures[[group]]) * sigma^2
    list(group = group, effects = nlme::Names(structures[[group]]), values = as.double(matrix))
  })
  list(
    beta = pp_named(nlme::fixef(fit)),
    beta_cov = as.double(stats::vcov(fit)),
    beta_se = pp_lme_se(fit),
    random = random,
    sigma = sigma,
    loglik = as.double(stats::logLik(fit)),
    # lme() stops where its optimiser does not converge.
    converged = TRUE,
    singular = NA
  )
}

# The Std.Error of summary(fit)$tTable, which is what a user reads: under ML it is inflated, and so
# is not the root of vcov()'s diagonal. Written out, because summary() takes as long as all the rest;
# the same operations in the same order give the same bits (summary.lme, nlme 3.1-162 to 3.1-171).
pp_lme_se <- function(fit) {
  se <- sqrt(diag(as.matrix(fit$varFix)))
  if (fit$method == "ML") se <- se * sqrt(fit$dims$N / (fit$dims$N - length(se)))
  as.double(se)
}
