# Rscript -e 'testthat::test_file("test-reference.R")'
source("reference.R")
root <- normalizePath(file.path("..", ".."))
item_of <- function(id) read_reference(Sys.glob(file.path(root, "items*", id)))
lmer <- function(item, data = reference_data(item)) {
  lme4::lmer(as.formula(item$model$formula), data, REML = item$reml)
}

test_that("lmer is right, in REML and ML, with slopes, crossed and nested", {
  for (id in c("seed_case1.reml", "seed_case2.ml", "sleepstudy.reml", "sleepstudy_uncorrelated.reml",
               "Penicillin.ml", "Pastes.reml", "Machines_by_worker.reml", "cake.reml")) {
    expect_reference(lmer(item_of(id)), item_of(id))
  }
})

test_that("lme is right", {
  item <- item_of("Orthodont.reml")
  fit <- nlme::lme(distance ~ age, reference_data(item), ~ age | Subject, method = "REML")
  expect_reference(fit, item)
  item <- item_of("Oxide.reml")
  expect_reference(nlme::lme(Thickness ~ 1, reference_data(item), ~ 1 | Lot / Wafer), item)
  item <- item_of("seed_case3.ml")
  fit <- nlme::lme(dependent ~ predictor, reference_data(item), ~ 1 | cluster, method = "ML")
  expect_reference(fit, item)
})

test_that("glmmTMB is right", {
  skip_if_not_installed("glmmTMB")
  for (id in c("seed_case1.reml", "sleepstudy.ml")) {
    item <- item_of(id)
    fit <- glmmTMB::glmmTMB(as.formula(item$model$formula), reference_data(item), REML = item$reml)
    expect_reference(fit, item, c(loglik = 8, beta = 4, sigma = 3, random_cov = 3))
  }
})

test_that("glmer and glmmTMB are right of Laplace's approximation, with trials, 0/1 and an offset", {
  enough <- c(loglik = 5, beta = 2, beta_se = 1.5, random_cov = 1) # what glmer's tolerances leave
  for (id in c("cbpp.laplace", "glmm_four_herds.laplace", "glmm_exposures.laplace", "glmm_slopes.laplace")) {
    item <- read_reference(Sys.glob(file.path(root, "glmm", "items*", id)))
    formula <- as.formula(item$model$formula)
    expect_reference(lme4::glmer(formula, reference_data(item), item$model$family), item, enough)
    if (!requireNamespace("glmmTMB", quietly = TRUE)) next
    fit <- glmmTMB::glmmTMB(formula, reference_data(item), item$model$family)
    expect_reference(fit, item, c(loglik = 8, beta = 4, beta_se = 3, random_cov = 3))
  }
  exact <- read_reference(Sys.glob(file.path(root, "glmm", "items*", "cbpp.exact")))
  fit <- lme4::glmer(as.formula(exact$model$formula), reference_data(exact), exact$model$family)
  expect_failure(expect_reference(fit, exact, c(beta = 4)), "beta has")
})

test_that("tests of fixed effects go by their definition", {
  item <- item_of("sleepstudy.reml") # 18 subjects on the same days: 17 degrees of freedom
  expect_equal(reference_tests(item, "kenward-roger")["Days", "df"], 17)
  expect_equal(reference_tests(item, "satterthwaite")$df, c(17, 17))
  expect_error(reference_tests(item, "satterthwaite-face"), "it has kenward-roger, satterthwaite")
  skip_if_not_installed("lmerTest")
  item <- item_of("Pastes.reml")
  fit <- lmerTest::lmer(as.formula(item$model$formula), reference_data(item))
  found <- coef(summary(fit))
  expect_equal(unname(found[, "df"]), reference_tests(item, "satterthwaite")$df, tolerance = 1e-3)
})

test_that("a wrong fit is caught", {
  item <- item_of("sleepstudy.reml")
  data <- reference_data(item)
  data$Reaction[1] <- data$Reaction[1] + 1
  expect_failure(expect_reference(lmer(item, data), item, c(beta = 4)), "beta has")
  expect_error(reference_digits(lme4::lmer(Reaction ~ 1 + (1 | Subject), data), item), "model matrix")
})

test_that("doubles are read to the bit, and data are made to the byte", {
  data <- reference_data(item_of("seed_case1.reml"))
  cells <- read.csv(file.path(item_of("seed_case1.reml")$folder, "doubles.csv"), colClasses = "character")
  expect_identical(sprintf("%a", data$dependent), sub("0+p", "p", cells$dependent))
  item <- item_of("ladder_1e4.reml")
  path <- tempfile()
  made <- reference_generated(item$data$generator)
  write.table(made, path, sep = ",", quote = FALSE, row.names = FALSE)
  expect_identical(unname(tools::md5sum(path)), "64f177bd397a6a9bbd52f49a4a75507c")
})
