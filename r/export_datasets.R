# Writes data sets of lme4 and nlme as CSV, with a provenance file each:
#
#   Rscript r/export_datasets.R DIRECTORY
#
# Needs lme4, nlme and jsonlite. Every double reads back to the same bits; the order of a factor's
# levels goes into the provenance, because CSV cannot hold it.

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

export <- function(name, package, publication, columns, directory) {
  frame <- as.data.frame(getExportedValue(package, name))
  if (!is.null(columns)) frame <- frame[columns]
  csv <- file.path(directory, paste0(name, ".csv"))
  text <- lapply(frame, as_column)
  stopifnot(!grepl("[\",\n]", unlist(text)))  # nothing here needs quoting
  write_whole(c(paste(names(frame), collapse = ","), do.call(paste, c(unname(text), sep = ","))), csv)
  version <- as.character(packageVersion(package))
  about <- list(
    name = name,
    source = publication,
    licence = paste0("GPL (>= 2), as distributed with the R package ", package),
    made = paste0(package, "::", name, ", ", package, " ", version, ", by r/export_datasets.R"),
    sha256 = sha256(csv),
    rows = nrow(frame),
    columns = unname(Map(describe, names(frame), frame)))
  json <- jsonlite::toJSON(about, auto_unbox = TRUE, pretty = 2)
  write_whole(json, file.path(directory, paste0(name, ".json")))
}

arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) != 1) stop("usage: Rscript r/export_datasets.R DIRECTORY")
suppressPackageStartupMessages({ requireNamespace("lme4"); requireNamespace("nlme") })
for (name in names(exports)) {
  about <- exports[[name]]
  export(name, about[[1]], about[[2]], if (length(about) > 2) about[[3]], arguments)
}
