# Simulates the clustered data sets that this project grew from.
#
#   Rscript simulate.R SEED SIZES SD EFFECT > data.csv
#   Rscript simulate.R 824523 2,10,10,10,2,10,10,10 3 5 > seed_case1.csv
#
# One normal draw of variance 1 a row, then one of standard deviation SD a cluster, then EFFECT for
# the second half of the clusters. The order of the draws and of the sums is part of the definition:
# another order gives other bits.

pp_simulate <- function(seed, sizes, sd, effect) {
  # The kinds are R's defaults since 3.6.0; named, because a user's profile can change them.
  set.seed(seed, kind = "Mersenne-Twister", normal.kind = "Inversion")
  noise <- rnorm(sum(sizes), 0, 1)
  shift <- rnorm(length(sizes), 0, sd)
  cluster <- rep(seq_along(sizes), sizes)
  treated <- cluster > length(sizes) / 2
  dependent <- noise + shift[cluster]
  dependent[treated] <- dependent[treated] + effect
  data.frame(
    dependent = dependent,
    predictor = ifelse(treated, "intervention", "control"),
    cluster = cluster
  )
}

# 17 significant digits tell every double apart (Goldberg 1991, theorem 15).
pp_exact_csv <- function(frame, con = stdout()) {
  text <- lapply(frame, function(x) if (is.double(x)) sprintf("%.17g", x) else as.character(x))
  exact <- mapply(function(s, x) !is.double(x) || identical(as.numeric(s), x), text, frame)
  if (!all(exact)) {
    stop("this R does not read column ", names(frame)[!exact][1], " back to the same doubles")
  }
  writeLines(c(paste(names(frame), collapse = ","), do.call(paste, c(text, sep = ","))), con)
}

if (sys.nframe() == 0L) {
  arguments <- commandArgs(trailingOnly = TRUE)
  if (length(arguments) != 4L) stop("usage: Rscript simulate.R SEED SIZES SD EFFECT")
  sizes <- as.integer(strsplit(arguments[2], ",", fixed = TRUE)[[1]])
  numbers <- as.numeric(arguments[-2])
  if (anyNA(c(sizes, numbers)) || any(sizes < 1L)) {
    stop("SEED, SD and EFFECT must be numbers, SIZES positive whole numbers joined by commas")
  }
  pp_exact_csv(pp_simulate(numbers[1], sizes, numbers[2], numbers[3]))
}
