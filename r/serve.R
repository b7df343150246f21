# Answers requests to the functions of fit.R: one JSON object a line from the connection `requests`,
# one a line to standard output. Doubles travel as base64 of their bytes, so that every bit of
# every number, NaN and infinities included, arrives. Needs jsonlite.
#
# A value is an object with one member, which says what it is:
#   d doubles, i integers (little-endian, base64), b logicals (null for NA), c strings,
#   l a list, n a named list.
# A request is {"call": name of a function, "value": its argument}; an answer is a value.

pp_decode <- function(x) {
  content <- x[[1]]
  switch(names(x),
    d = pp_unpack(content, "double", 8L),
    i = pp_unpack(content, "integer", 4L),
    b = vapply(content, function(item) if (is.null(item)) NA else item, NA),
    c = vapply(content, identity, ""),
    l = lapply(content, pp_decode),
    n = lapply(content, pp_decode)
  )
}

pp_unpack <- function(text, kind, size) {
  bytes <- jsonlite::base64_dec(text)
  readBin(bytes, kind, n = length(bytes) / size, size = size, endian = "little")
}

pp_pack <- function(x) {
  jsonlite::unbox(jsonlite::base64_enc(writeBin(as.vector(x), raw(), endian = "little")))
}

pp_encode <- function(x) {
  if (is.double(x)) list(d = pp_pack(x))
  else if (is.integer(x)) list(i = pp_pack(x))
  else if (is.logical(x)) list(b = as.vector(x))
  else if (is.character(x)) list(c = enc2utf8(as.vector(x)))
  else if (is.null(names(x))) list(l = lapply(x, pp_encode))
  else list(n = lapply(x, pp_encode))
}

# Only functions of this kind are called; a request cannot name another.
pp_allowed <- c("pp_fit_lme4", "pp_fit_nlme", "pp_about")

pp_serve <- function(requests) {
  loadNamespace("jsonlite")
  # Loaded now, so that the first fit takes no longer than the others.
  for (package in c("lme4", "nlme")) requireNamespace(package, quietly = TRUE)
  cat("ready\n")
  while (length(line <- readLines(requests, 1L, encoding = "UTF-8", warn = FALSE))) {
    request <- jsonlite::fromJSON(line, simplifyVector = FALSE)
    f <- get(match.arg(request$call, pp_allowed))
    # Standard output holds answers alone; what R code prints belongs to its messages.
    printed <- capture.output(answer <- f(pp_decode(request$value)))
    answer$messages <- c(answer$messages, printed)
    text <- jsonlite::toJSON(pp_encode(answer), null = "null", na = "null")
    writeLines(paste0("answer ", enc2utf8(text)), useBytes = TRUE)
    flush(stdout())
  }
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
