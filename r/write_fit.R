# Writes a fit of lme4, nlme or glmmTMB as JSON, so that it can be checked without Python at hand:
#
#   source("write_fit.R")
#   pp_write_fit(fit, "fit.json")          # then: pp-compare check fit.json
#
# Base R and jsonlite. The file holds the rows that were fitted (the columns of the model alone), the
# model in words, the criterion, and the numbers of the fit, every double with 17 digits. Nothing is
# fitted again.

pp_write_fit <- function(fit, file) {
  text <- jsonlite::toJSON(pp_fit_record(fit), digits = I(17), auto_unbox = FALSE, na = "null")
  writeLines(enc2utf8(text), file, useBytes = TRUE)
  invisible(file)
}

# The fit as a list of plain vectors; what pp_write_fit writes and rpy2 hands over.
pp_fit_record <- function(fit) {
  package <- if (inherits(fit, "merMod")) "lme4" else if (inherits(fit, "lme")) "nlme" else
    if (inherits(fit, "glmmTMB")) "glmmtmb" else
      stop("pp_write_fit takes a fit of lmer, lme or glmmTMB, not of class ", class(fit)[1])
  record <- switch(package, lme4 = pp_of_lmer(fit), nlme = pp_of_lme(fit), glmmtmb = pp_of_tmb(fit))
  name <- if (package == "glmmtmb") "glmmTMB" else package
  c(list(
    schema = "pp-compare/fit/1",
    package = package,
    versions = list(
      names = c("R", name),
      values = c(paste(R.version$major, R.version$minor, sep = "."), getNamespaceVersion(name)[[1]])
    )
  ), record)
}

pp_of_lmer <- function(fit) {
  if (!lme4::isLMM(fit)) stop("only a linear mixed model (lmer) can be checked, not glmer or nlmer")
  if (any(stats::weights(fit) != 1)) stop("a fit with prior weights cannot be checked")
  if (any(fit@resp$offset != 0)) stop("a fit with an offset cannot be checked")
  effects <- fit@cnms
  components <- lme4::VarCorr(fit)
  modes <- lme4::ranef(fit, condVar = FALSE)
  state <- fit@optinfo$conv
  cov <- as.matrix(stats::vcov(fit))
  list(
    formula = pp_text(stats::formula(fit)),
    REML = lme4::isREML(fit),
    data = pp_table(fit, stats::model.frame(fit), stats::formula(fit)),
    beta = pp_vector(lme4::fixef(fit)),
    beta_cov = as.double(cov),
    beta_se = sqrt(diag(cov)),
    random = pp_terms(names(effects), effects, components[seq_along(effects)]),
    sigma = stats::sigma(fit),
    loglik = as.double(stats::logLik(fit)),
    converged = all(state$opt == 0) && !any(unlist(state$lme4$code) < 0),
    singular = lme4::isSingular(fit),
    messages = as.character(unlist(state$lme4$messages)),
    blup = pp_modes(modes),
    levels = pp_levels(lapply(fit@flist, as.character)),
    fitted = as.double(stats::fitted(fit)),
    X = pp_columns_of(stats::model.matrix(fit)),
    y = as.double(stats::model.response(stats::model.frame(fit)))
  )
}

pp_of_lme <- function(fit) {
  correlated <- !is.null(fit$modelStruct$corStruct) || !is.null(fit$modelStruct$varStruct)
  if (correlated) stop("a fit with correlation= or weights= cannot be checked")
  sigma <- stats::sigma(fit)
  structures <- fit$modelStruct$reStruct
  groups <- names(structures)
  modes <- nlme::ranef(fit)
  if (is.data.frame(modes)) modes <- stats::setNames(list(modes), groups)
  se <- sqrt(diag(as.matrix(fit$varFix)))
  if (fit$method == "ML") se <- se * sqrt(fit$dims$N / (fit$dims$N - length(se)))
  contrasts <- fit$contrasts[names(fit$contrasts) %in% all.vars(fit$terms)]
  levels <- lapply(rev(fit$groups), as.character)
  random <- lapply(groups, function(g) nlme::pdMatrix(structures[[g]]) * sigma^2)
  # reStruct runs from the innermost grouping factor outwards.
  bars <- lapply(rev(groups), function(g) pp_bar(structures[[g]], g, groups))
  list(
    formula = paste(c(pp_text(fit$terms), unlist(bars)), collapse = " + "),
    REML = fit$method == "REML",
    data = pp_table(fit, fit$data, NULL, pp_names_of_lme(fit)),
    beta = pp_vector(nlme::fixef(fit)),
    beta_cov = as.double(stats::vcov(fit)),
    beta_se = as.double(se),
    random = pp_terms(groups, lapply(groups, function(g) nlme::Names(structures[[g]])), random),
    sigma = sigma,
    loglik = as.double(stats::logLik(fit)),
    converged = TRUE,
    singular = NA,
    messages = character(),
    blup = pp_modes(modes),
    levels = pp_levels(levels),
    fitted = as.double(stats::fitted(fit)),
    X = pp_columns_of(stats::model.matrix(fit$terms, fit$data, contrasts)),
    y = as.double(eval(fit$terms[[2]], fit$data))
  )
}

pp_of_tmb <- function(fit) {
  simple <- fit$modelInfo$family$family == "gaussian" && fit$modelInfo$family$link == "identity"
  if (!simple) stop("only a gaussian glmmTMB with the identity link can be checked")
  components <- glmmTMB::VarCorr(fit)$cond
  modes <- glmmTMB::ranef(fit)$cond
  cov <- as.matrix(stats::vcov(fit)$cond)
  frame <- stats::model.frame(fit)
  formula <- stats::formula(fit)
  list(
    formula = pp_text(formula),
    REML = isTRUE(fit$modelInfo$REML),
    data = pp_table(fit, frame, formula),
    beta = pp_vector(glmmTMB::fixef(fit)$cond),
    beta_cov = as.double(cov),
    beta_se = sqrt(diag(cov)),
    random = pp_terms(names(components), lapply(components, colnames), components),
    sigma = stats::sigma(fit),
    loglik = as.double(stats::logLik(fit)),
    converged = fit$fit$convergence == 0,
    singular = NA,
    messages = as.character(fit$fit$message),
    blup = pp_modes(modes),
    levels = pp_levels(lapply(fit$modelInfo$reTrms$cond$flist, as.character)),
    fitted = as.double(stats::fitted(fit)),
    X = pp_columns_of(stats::model.matrix(fit)),
    y = as.double(stats::model.response(frame))
  )
}

pp_text <- function(formula) {
  paste(trimws(deparse(formula, width.cutoff = 500L)), collapse = " ")
}

# The rows that were fitted, of the data that the call names where it still holds these rows; else
# the model frame, in which a computed column has the name of its expression.
pp_table <- function(fit, frame, formula, names = all.vars(formula)) {
  found <- tryCatch({
    call <- if (isS4(fit)) fit@call else fit$call
    home <- if (is.null(formula)) parent.frame(4) else environment(formula)
    data <- as.data.frame(eval(call$data, home))
    rows <- match(rownames(frame), rownames(data))
    if (anyNA(rows) || !all(names %in% colnames(data))) NULL else data[rows, names, drop = FALSE]
  }, error = function(e) NULL)
  if (is.null(found)) {
    kept <- intersect(names, colnames(frame))
    found <- as.data.frame(frame)[if (length(kept) == length(names)) kept else colnames(frame)]
  }
  lapply(found, pp_column)
}

pp_names_of_lme <- function(fit) {
  random <- unlist(lapply(fit$modelStruct$reStruct, function(s) all.vars(stats::formula(s))))
  unique(c(all.vars(fit$terms), random, names(fit$groups)))
}

pp_column <- function(x) {
  if (is.factor(x)) {
    x <- droplevels(x)
    return(list(codes = as.integer(x), levels = levels(x)))
  }
  if (is.character(x) || is.logical(x)) return(list(text = as.character(x)))
  if (is.numeric(x) && is.null(dim(x))) return(list(values = as.double(x)))
  stop("a column of class ", class(x)[1], " cannot be written")
}

# One random term of lme in lme4's words; inner factors are nested in those around them.
pp_bar <- function(structure, group, groups) {
  effects <- sub("^~", "", pp_text(stats::formula(structure)))
  mark <- if (inherits(structure, "pdDiag")) "||" else "|"
  if (!inherits(structure, c("pdDiag", "pdLogChol", "pdSymm", "pdNatural", "pdIdent"))) {
    stop("random effects of class ", class(structure)[1], " cannot be written in lme4's words")
  }
  around <- rev(groups[match(group, groups):length(groups)])
  paste0("(", effects, " ", mark, " ", paste(around, collapse = ":"), ")")
}

pp_vector <- function(x) list(values = as.double(x), names = names(x))

pp_columns_of <- function(x) list(values = as.double(x), columns = colnames(x))

pp_terms <- function(groups, effects, matrices) {
  Map(function(group, names, matrix) {
    list(group = group, effects = as.character(names), values = as.double(matrix))
  }, groups, effects, matrices, USE.NAMES = FALSE)
}

pp_modes <- function(modes) {
  Map(function(group, table) {
    table <- as.matrix(table)
    list(group = group, rows = rownames(table), columns = colnames(table), values = as.double(table))
  }, names(modes), unclass(modes), USE.NAMES = FALSE)
}

# The level of each row in each grouping factor: nested labels are written in several ways.
pp_levels <- function(levels) {
  Map(function(group, of_rows) list(group = group, rows = as.character(of_rows)),
    names(levels), levels, USE.NAMES = FALSE)
}
