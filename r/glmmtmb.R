# Fits a linear mixed model with glmmTMB; requests and answers as in fit.R, which comes before it.
#
# random and control are those of pp_fit_lme4; control is list(list()), glmmTMB() as it comes.

pp_fit_glmmtmb <- function(request) {
  pp_answer(c("glmmTMB", "TMB", "Matrix"), request$limit, function() {
    data <- pp_frame(request$data, request$levels)
    formula <- pp_lmer_formula(request)
    began <- Sys.time()
    fit <- glmmTMB::glmmTMB(formula, data = data, REML = request$REML)
    seconds <- pp_seconds_since(began)
    c(pp_glmmtmb_quantities(fit), list(seconds = seconds))
  })
}

pp_glmmtmb_quantities <- function(fit) {
  beta <- glmmTMB::fixef(fit)$cond
  cov <- stats::vcov(fit)$cond
  components <- glmmTMB::VarCorr(fit)$cond
  # One matrix a random term, in the order of the formula; cnms names their groups and effects.
  effects <- fit$modelInfo$reTrms$cond$cnms
  random <- Map(function(group, names, matrix) {
    list(group = group, effects = names, values = as.double(matrix))
  }, names(effects), effects, unclass(components)[seq_along(effects)], USE.NAMES = FALSE)
  modes <- unclass(glmmTMB::ranef(fit, condVar = FALSE))$cond
  blup <- Map(function(group, table) c(list(group = group), pp_matrix(as.matrix(table))),
    names(modes), modes, USE.NAMES = FALSE)
  list(
    beta = pp_named(beta),
    beta_cov = as.double(cov),
    beta_se = sqrt(diag(cov)),
    random = random,
    blup = blup,
    sigma = stats::sigma(fit),
    loglik = as.double(stats::logLik(fit)),
    fitted = as.double(stats::fitted(fit)),
    X = pp_columns(as.matrix(glmmTMB::getME(fit, "X"))),
    y = as.double(stats::model.response(stats::model.frame(fit))),
    converged = fit$fit$convergence == 0 && isTRUE(fit$sdr$pdHess),
    singular = NA
  )
}
