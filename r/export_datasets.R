# Writes data sets of lme4, nlme, HSAUR3 and geepack as CSV, with a provenance file each, and those
# that are simulated here:
#
#   Rscript r/export_datasets.R DIRECTORY
#
# Needs lme4, nlme and jsonlite; sets of HSAUR3 and geepack are left out where these are missing.
# Every double reads back to the same bits; the order of a factor's levels goes into the provenance,
# because CSV cannot hold it.

pinheiro_bates <- "Pinheiro and Bates (2000), Mixed-Effects Models in S and S-PLUS, Springer"
davies_goldsmith <- function(section) paste(
  "Davies and Goldsmith (eds) (1972), Statistical Methods in Research and Production, 4th ed.,",
  "Oliver and Boyd, section", section)

# package, first publication as the help page names it, columns to keep (all where NULL)
exports <- list(
  Dyestuff = list("lme4", davies_goldsmith("6.4")),
  Dyestuff2 = list("lme4",
    "Box and Tiao (1973), Bayesian Inference in Statistical Analysis, Addison-Wesley, section 5.1.2"),
  Pastes = list("lme4", davies_goldsmith("6.5")),
  Penicillin = list("lme4", davies_goldsmith("6.6")),
  cake = list("lme4", paste("Cook (1938), Chocolate cake, I. Optimum baking temperature, Master's",
    "thesis, Iowa State College; Cochran and Cox (1957), Experimental Designs, 2nd ed., p. 300")),
  sleepstudy = list("lme4", "Belenky et al. (2003), Journal of Sleep Research 12, 1-12"),
  cbpp = list("lme4", paste("Lesnoff et al. (2004), Within-herd spread of contagious bovine",
    "pleuropneumonia in Ethiopian highlands, Preventive Veterinary Medicine 64, 27-40")),
  grouseticks = list("lme4", "Elston et al. (2001), Parasitology 122, 563-569"),
  toenail = list("HSAUR3", paste("De Backer et al. (1998), Twelve weeks of continuous oral therapy",
    "for toenail onychomycosis, Journal of the American Academy of Dermatology 38, S57-S63")),
  respiratory = list("geepack", paste("Stokes, Davis and Koch (1995), Categorical Data Analysis",
    "Using the SAS System, SAS Institute; HSAUR3 has the trial with one outcome of a fourth visit",
    "the other way"),
    # Placebo and the first visit come first.
    function(frame) transform(frame, treat = factor(treat, c("P", "A")), visit = factor(visit))),
  Alfalfa = list("nlme", "Snedecor and Cochran (1980), Statistical Methods, 7th ed."),
  Assay = list("nlme", paste0(pinheiro_bates, ", appendix A.2")),
  BodyWeight = list("nlme", "Crowder and Hand (1990), Analysis of Repeated Measures"),
  Gasoline = list("nlme", "Prater (1955), Petroleum Refiner 35 (5)"),
  Machines = list("nlme", paste("Milliken and Johnson (1992), Analysis of Messy Data, volume I:",
    "Designed Experiments, Chapman and Hall")),
  MathAchieve = list("nlme", paste(pinheiro_bates,
    "(1982 High School and Beyond survey; the help page names no source)", sep = " ")),
  Meat = list("nlme", "Cochran and Cox (1957), Experimental Designs, Wiley"),
  Milk = list("nlme", "Diggle, Liang and Zeger (1994), Analysis of Longitudinal Data, Oxford"),
  Oats = list("nlme", "Venables and Ripley (2002), Modern Applied Statistics with S, 4th ed."),
  Orthodont = list("nlme", "Potthoff and Roy (1964), Biometrika 51, 313-326"),
  Oxboys = list("nlme", paste0(pinheiro_bates, ", appendix A.19")),
  Oxide = list("nlme", "Littell et al. (1996), SAS System for Mixed Models, SAS Institute"),
  Pixel = list("nlme", pinheiro_bates),
  Rail = list("nlme", "Devore (2000), Probability and Statistics for Engineering and the Sciences"),
  RatPupWeight = list("nlme", pinheiro_bates),
  Spruce = list("nlme", "Diggle, Liang and Zeger (1994), Analysis of Longitudinal Data, Oxford"),
  Wafer = list("nlme", pinheiro_bates),
  Wheat2 = list("nlme", pinheiro_bates),
  bdf = list("nlme", "Snijders and Bosker (1999), Multilevel Analysis, Sage",
    c("schoolNR", "langPOST", "IQ.ver.cen", "avg.IQ.ver.cen", "Minority")),
  ergoStool = list("nlme",
    "Devore (2000), Probability and Statistics for Engineering and the Sciences"))

# The shortest of 15, 16 or 17 significant digits that reads back to the same double.
exact <- function(x) {
  text <- formatC(x, digits = 17, format = "g", width = 1)
  for (digits in 16:15) {
    shorter <- formatC(x, digits = digits, format = "g", width = 1)
    same <- as.numeric(shorter) == x
    text[same] <- shorter[same]
  }
  stopifnot(identical(as.numeric(text), as.numeric(x)))
  # A column with a fraction in it is written with a fraction in every row, as pandas does.
  if (any(x != round(x))) ifelse(grepl("[.e]", text), text, paste0(text, ".0")) else text
}

as_column <- function(x) if (is.factor(x)) trimws(as.character(x)) else exact(as.vector(x))

describe <- function(name, x) {
  if (!is.factor(x)) return(list(name = name, kind = "number"))
  list(name = name, kind = "factor", levels = I(trimws(levels(x))))
}

write_whole <- function(lines, file) {
  temporary <- paste0(file, ".tmp")
  connection <- base::file(temporary, open = "wb")  # "wb": no carriage returns on any system
  writeLines(enc2utf8(lines), connection, useBytes = TRUE)
  close(connection)
  stopifnot(file.rename(temporary, file))
}

sha256 <- function(file) {
  if (exists("sha256sum", asNamespace("tools"))) return(unname(tools::sha256sum(file)))  # R >= 4.5
  sub(" .*", "", system2("sha256sum", shQuote(file), stdout = TRUE))
}

# Of HSAUR3 and geepack data() alone gives the sets.
data_set <- function(name, package) {
  place <- new.env()
  utils::data(list = name, package = package, envir = place)
  as.data.frame(get(name, envir = place))
}

export <- function(name, package, publication, columns, directory) {
  frame <- data_set(name, package)
  if (is.function(columns)) frame <- columns(frame) else if (!is.null(columns)) frame <- frame[columns]
  version <- as.character(packageVersion(package))
  write_set(name, frame, directory, publication,
    paste0(sub(" *\\|.*", "", packageDescription(package)$License),
      ", as distributed with the R package ", package),
    paste0(package, "::", name, ", ", package, " ", version, ", by r/export_datasets.R"))
}

write_set <- function(name, frame, directory, source, licence, made) {
  csv <- file.path(directory, paste0(name, ".csv"))
  text <- lapply(frame, as_column)
  stopifnot(!grepl("[\",\n]", unlist(text)))  # nothing here needs quoting
  write_whole(c(paste(names(frame), collapse = ","), do.call(paste, c(unname(text), sep = ","))), csv)
  about <- list(
    name = name,
    source = source,
    licence = licence,
    made = made,
    sha256 = sha256(csv),
    rows = nrow(frame),
    columns = unname(Map(describe, names(frame), frame)))
  json <- jsonlite::toJSON(about, auto_unbox = TRUE, pretty = 2)
  write_whole(json, file.path(directory, paste0(name, ".json")))
}

# ---- simulated ----------------------------------------------------------------------------------

groups <- function(m) factor(sprintf("g%02d", seq_len(m)))
binary <- function(eta) rbinom(length(eta), 1, plogis(eta))

# why, and what makes the frame after set.seed(seed)
simulated <- list(
  glmm_boundary = list(1, "0/1, nothing varies between 20 clusters", function() {
    g <- rep(groups(20), each = 6); x <- round(rnorm(120), 2)
    data.frame(y = rep(c(0, 1, 1, 0, 1, 0), 20), x = x, cluster = g)
  }),
  glmm_separated = list(2, "0/1, x above 0.5 has no failure and x below none that succeeds", function() {
    g <- rep(groups(10), each = 4); x <- rep(c(0.1, 0.3, 0.7, 0.9), 10)
    data.frame(y = as.numeric(x > 0.5), x = x, cluster = g)
  }),
  glmm_overdispersed = list(3, "counts of 100 rows in 10 clusters, with an effect a row", function() {
    g <- rep(groups(10), each = 10); x <- rep(c(0, 1), 50)
    eta <- 0.5 + 0.4 * x + rnorm(10, 0, 0.5)[g] + rnorm(100, 0, 0.8)
    data.frame(y = rpois(100, exp(eta)), x = x, cluster = g, row = factor(sprintf("r%03d", 1:100)))
  }),
  glmm_one_large = list(4, "0/1, one cluster of 200 rows beside 15 of 5", function() {
    sizes <- c(200, rep(5, 15)); g <- rep(groups(16), sizes); x <- round(rnorm(275), 2)
    data.frame(y = binary(-0.3 + 0.6 * x + rnorm(16, 0, 1.2)[g]), x = x, cluster = g)
  }),
  glmm_rare = list(5, "successes of many trials, about one in 300", function() {
    g <- rep(groups(12), each = 3)
    trials <- rep(c(400, 700, 1000), 12); x <- rep(c(0, 1, 0), 12)
    p <- plogis(-6 + 0.7 * x + rnorm(12, 0, 0.8)[g])
    data.frame(cases = rbinom(36, trials, p), trials = trials, x = x, cluster = g)
  }),
  glmm_exposure = list(6, "counts with an exposure, 15 clusters", function() {
    g <- rep(groups(15), each = 4); x <- rep(c(0, 1), 30); years <- round(runif(60, 1, 20), 1)
    data.frame(events = rpois(60, years * exp(-1.5 + 0.5 * x + rnorm(15, 0, 0.7)[g])), x = x,
      years = years, cluster = g)
  }))

simulate <- function(name, seed, what, make, directory) {
  # R's generators of version 3.6 and later, by name, so that a session's own do not matter.
  set.seed(seed, "Mersenne-Twister", "Inversion", "Rejection")
  write_set(name, make(), directory, paste0("simulated: ", what), "BSD-3-Clause",
    paste0("set.seed(", seed, ") in r/export_datasets.R"))
}

arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) != 1) stop("usage: Rscript r/export_datasets.R DIRECTORY")
suppressPackageStartupMessages({ requireNamespace("lme4"); requireNamespace("nlme") })
for (name in names(simulated)) {
  about <- simulated[[name]]
  simulate(name, about[[1]], about[[2]], about[[3]], arguments)
}
for (name in names(exports)) {
  about <- exports[[name]]
  if (!requireNamespace(about[[1]], quietly = TRUE)) {
    message("without ", about[[1]], " ", name, " is left out")
    next
  }
  export(name, about[[1]], about[[2]], if (length(about) > 2) about[[3]], arguments)
}
