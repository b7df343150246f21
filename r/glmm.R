# Fits a generalised mixed model with lme4, glmmTMB or MASS; requests and answers as in fit.R, which
# comes before it, with these differences:
#
#   family     "binomial" (logit) or "poisson" (log)
#   data       the response is the column `response`, and of a binomial model that has more than one
#              trial a row, pp.success and pp.failure beside it; pp.offset is added to the linear
#              predictor
#   control    glmer: list(control = arguments of glmerControl(), nAGQ = number of nodes)
# There is no sigma; `random` of the answer are covariances, `blup` are conditional modes.

pp_glmm_response <- function(request) {
  if (is.null(request$data$pp.failure)) return(as.name(request$response))
  quote(cbind(pp.success, pp.failure))
}

pp_glmm_formula <- function(request, bars = TRUE) {
  terms <- if (bars) lapply(request$random, function(term) {
    call("(", call("|", pp_sum(term$intercept, term$terms), as.name(term$group)))
  })
  offset <- if (!is.null(request$data$pp.offset)) list(quote(offset(pp.offset)))
  right <- Reduce(function(a, b) call("+", a, b), c(terms, offset),
    pp_sum(request$intercept, request$fixed))
  pp_formula(list(pp_glmm_response(request), right))
}

pp_glmm_family <- function(request) {
  switch(request$family, binomial = stats::binomial(), poisson = stats::poisson(),
    stop("no family '", request$family, "' here"))
}

pp_modes <- function(modes) {
  Map(function(group, table) c(list(group = group), pp_matrix(as.matrix(table))),
    names(modes), unclass(modes), USE.NAMES = FALSE)
}

# ---- lme4 ---------------------------------------------------------------------------------------

pp_fit_glmer <- function(request) {
  pp_answer(c("lme4", "Matrix"), request$limit, function() {
    data <- pp_frame(request$data, request$levels)
    formula <- pp_glmm_formula(request)
    control <- do.call(lme4::glmerControl, pp_glmer_control(request$control$control))
    nodes <- as.integer(request$control$nAGQ)
    family <- pp_glmm_family(request)
    began <- Sys.time()
    fit <- lme4::glmer(formula, data = data, family = family, control = control, nAGQ = nodes)
    seconds <- pp_seconds_since(began)
    cov <- as.matrix(stats::vcov(fit))
    list(
      beta = pp_named(lme4::fixef(fit)),
      beta_cov = as.double(cov),
      beta_se = sqrt(diag(cov)),
      random = pp_mer_random(fit),
      blup = pp_modes(lme4::ranef(fit, condVar = FALSE)),
      loglik = as.double(stats::logLik(fit)),
      converged = pp_lmer_converged(fit),
      singular = lme4::isSingular(fit),
      seconds = seconds
    )
  })
}

pp_glmer_control <- function(control) {
  # One optimiser's name, or that of each of the two stages.
  if (!is.null(control$optimizer)) control$optimizer <- unlist(control$optimizer)
  control
}

# ---- glmmTMB ------------------------------------------------------------------------------------

pp_fit_glmmtmb_family <- function(request) {
  pp_answer(c("glmmTMB", "TMB", "Matrix"), request$limit, function() {
    data <- pp_frame(request$data, request$levels)
    formula <- pp_glmm_formula(request)
    family <- pp_glmm_family(request)
    began <- Sys.time()
    fit <- glmmTMB::glmmTMB(formula, data = data, family = family)
    seconds <- pp_seconds_since(began)
    cov <- stats::vcov(fit)$cond
    components <- unclass(glmmTMB::VarCorr(fit)$cond)
    effects <- fit$modelInfo$reTrms$cond$cnms
    random <- Map(function(group, names, matrix) {
      list(group = group, effects = names, values = as.double(matrix))
    }, names(effects), effects, components[seq_along(effects)], USE.NAMES = FALSE)
    list(
      beta = pp_named(glmmTMB::fixef(fit)$cond),
      beta_cov = as.double(cov),
      beta_se = sqrt(diag(cov)),
      random = random,
      blup = pp_modes(unclass(glmmTMB::ranef(fit, condVar = FALSE))$cond),
      loglik = as.double(stats::logLik(fit)),
      converged = fit$fit$convergence == 0 && isTRUE(fit$sdr$pdHess),
      singular = NA,
      seconds = seconds
    )
  })
}

# ---- MASS ---------------------------------------------------------------------------------------

# random: one term. glmmPQL() writes an offset into the working response, and takes cbind() as glm().
pp_fit_glmmpql <- function(request) {
  pp_answer(c("MASS", "nlme"), request$limit, function() {
    data <- pp_frame(request$data, request$levels)
    formula <- pp_glmm_formula(request, bars = FALSE)
    term <- request$random[[1]]
    random <- list(pp_formula(list(pp_sum(term$intercept, term$terms))))
    names(random) <- term$group
    family <- pp_glmm_family(request)
    began <- Sys.time()
    # Its arguments are evaluated as it calls glm() and lme() with its own call.
    fit <- eval(bquote(MASS::glmmPQL(.(formula), random = .(random), family = .(family),
      data = data, verbose = FALSE)))
    seconds <- pp_seconds_since(began)
    sigma <- fit$sigma
    structure <- fit$modelStruct$reStruct[[1]]
    cov <- as.matrix(stats::vcov(fit))
    modes <- stats::setNames(list(nlme::ranef(fit)), term$group)
    list(
      beta = pp_named(nlme::fixef(fit)),
      beta_cov = as.double(cov),
      beta_se = sqrt(diag(cov)),
      random = list(list(group = term$group, effects = nlme::Names(structure),
        values = as.double(nlme::pdMatrix(structure) * sigma^2))),
      blup = pp_modes(modes),
      dispersion = sigma,
      converged = NA,
      singular = NA,
      seconds = seconds
    )
  })
}
