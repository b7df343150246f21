# Answers requests to the functions of fit.R: one a line from the connection `requests`, one answer a
# line to standard output. A line is R's own serialize() of a plain value, as base64 text: every bit of
# every number, NaN and infinities included, arrives, and base R is all that is needed.
#
# A request is list(call = name of a function, value = its argument); an answer is a list.

pp_alphabet <- charToRaw(paste(c(LETTERS, letters, 0:9, "+", "/"), collapse = ""))
pp_digits <- replace(integer(256), as.integer(pp_alphabet) + 1L, 0:63)

pp_from_text <- function(text) {
  digits <- matrix(pp_digits[as.integer(charToRaw(text)) + 1L], 4L)
  word <- ((digits[1L, ] * 64L + digits[2L, ]) * 64L + digits[3L, ]) * 64L + digits[4L, ]
  unserialize(as.raw(rbind(word %/% 65536L, word %/% 256L %% 256L, word %% 256L)))
}

pp_to_text <- function(value) {
  bytes <- serialize(value, NULL, version = 2L)
  missing <- (-length(bytes)) %% 3L
  part <- matrix(as.integer(c(bytes, raw(missing))), 3L)
  word <- (part[1L, ] * 256L + part[2L, ]) * 256L + part[3L, ]
  digits <- rbind(word %/% 262144L, word %/% 4096L %% 64L, word %/% 64L %% 64L, word %% 64L)
  text <- pp_alphabet[digits + 1L]
  text[length(text) + 1L - seq_len(missing)] <- charToRaw("=")
  rawToChar(text)
}

# Vectors and lists without any attribute but the names of a list; strings in UTF-8.
pp_plain <- function(x) {
  if (is.list(x)) return(structure(lapply(x, pp_plain), names = if (!is.null(names(x))) enc2utf8(names(x))))
  if (is.character(x)) enc2utf8(as.vector(x)) else as.vector(x)
}

# Only functions of this kind are called; a request cannot name another.
pp_allowed <- c(
  "pp_fit_lme4", "pp_fit_nlme", "pp_fit_glmmtmb", "pp_fit_glmer", "pp_fit_glmmtmb_family",
  "pp_fit_glmmpql", "pp_batch_lme4", "pp_batch_nlme", "pp_about", "pp_require"
)

pp_serve <- function(requests) {
  # Loaded now, so that the first fit takes no longer than the others.
  for (package in c("lme4", "nlme")) requireNamespace(package, quietly = TRUE)
  cat("ready\n")
  while (length(line <- readLines(requests, 1L, warn = FALSE))) {
    request <- pp_from_text(line)
    f <- get(match.arg(request$call, pp_allowed))
    # Standard output holds answers alone; what R code prints belongs to its messages.
    printed <- capture.output(answer <- f(request$value))
    answer$messages <- c(answer$messages, printed)
    cat("answer ", pp_to_text(pp_plain(answer)), "\n", sep = "")
    flush(stdout())
  }
}

# Loads a package; R's words where it does not load.
pp_require <- function(request) {
  load <- function() {
    loadNamespace(request$package)
    ""
  }
  list(problem = tryCatch(load(), error = conditionMessage))
}

# What this R is made of.
pp_about <- function(request) {
  packages <- Filter(function(name) requireNamespace(name, quietly = TRUE), request$packages)
  list(
    names = c("R", packages),
    versions = c(
      paste(R.version$major, R.version$minor, sep = "."),
      vapply(packages, getNamespaceVersion, "", USE.NAMES = FALSE)
    ),
    platform = R.version$platform,
    blas = basename(extSoftVersion()[["BLAS"]]),
    lapack = basename(La_library())
  )
}
