//! The reference set in Rust: the standard library alone, from the two CSV files of an item.
//!
//! `Item::read("../../items/seed_case1.reml")`, then `number("dependent")` for the data to the bit
//! and `digits("beta", &[("Intercept", "", 0.9616), ...])` for the fewest digits that are right.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

/// The columns of `doubles.csv`, and the certified values of `values.csv` with their labels.
pub struct Item {
    pub columns: HashMap<String, Vec<String>>,
    values: Vec<[String; 4]>,
}

impl Item {
    /// The item in a folder that has its data (those that are made have none).
    pub fn read(folder: impl AsRef<Path>) -> io::Result<Item> {
        let folder = folder.as_ref();
        let mut data = rows(&fs::read_to_string(folder.join("doubles.csv"))?).into_iter();
        let header = data.next().unwrap_or_default();
        let mut columns: HashMap<String, Vec<String>> = HashMap::new();
        for row in data {
            for (name, cell) in header.iter().zip(row) {
                columns.entry(name.clone()).or_default().push(cell);
            }
        }
        let values = rows(&fs::read_to_string(folder.join("values.csv"))?)
            .into_iter()
            .skip(1)
            .map(|r| [r[0].clone(), r[1].clone(), r[2].clone(), r[3].clone()])
            .collect();
        Ok(Item { columns, values })
    }

    /// A numeric column, every double to the bit; None where there is none.
    pub fn numbers(&self, name: &str) -> Option<Vec<f64>> {
        self.columns.get(name)?.iter().map(|cell| hexadecimal(cell)).collect()
    }

    /// A certified value, rounded to the nearest double.
    pub fn value(&self, quantity: &str, row: &str, column: &str) -> Option<f64> {
        let found = self.values.iter().find(|v| v[0] == quantity && v[1] == row && v[2] == column);
        found.and_then(|v| v[3].parse().ok())
    }

    /// The fewest digits right of values given by labels of row and column; None if one is unknown
    /// or exactly 0. Against doubles, so more than 15 are not told apart.
    pub fn digits(&self, quantity: &str, found: &[(&str, &str, f64)]) -> Option<f64> {
        let mut least: f64 = 15.0;
        for (row, column, x) in found {
            let truth = self.value(quantity, row, column)?;
            if truth == 0.0 {
                return None;
            }
            let digits = -((x - truth) / truth).abs().log10();
            least = least.min(if digits.is_nan() { 0.0 } else { digits.max(0.0) });
        }
        Some(least)
    }
}

/// C99's hexadecimal notation, as `0x1.8p+1`.
fn hexadecimal(text: &str) -> Option<f64> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (digits, exponent) = rest.strip_prefix("0x")?.split_once('p')?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mantissa = u64::from_str_radix(&format!("{whole}{fraction}"), 16).ok()?;
    let power = exponent.parse::<i32>().ok()? - 4 * fraction.len() as i32;
    // In two factors: 2^-1074 has no reciprocal, and no double is rounded twice on the way.
    let (half, other) = (power / 2, power - power / 2);
    let size = mantissa as f64 * 2f64.powi(half) * 2f64.powi(other);
    Some(if negative { -size } else { size })
}

/// Lines of cells, quoted where they hold a comma or a quote.
fn rows(text: &str) -> Vec<Vec<String>> {
    text.lines().map(cells).collect()
}

fn cells(line: &str) -> Vec<String> {
    let (mut found, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = line.chars().peekable();
    while let Some(c) = letters.next() {
        match c {
            '"' if quoted && letters.peek() == Some(&'"') => cell.push(letters.next().unwrap()),
            '"' => quoted = !quoted,
            ',' if !quoted => found.push(std::mem::take(&mut cell)),
            _ => cell.push(c),
        }
    }
    found.push(cell);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balanced_layout_by_its_mean_squares() {
        let item = Item::read("../../items/balanced_6x5.reml").unwrap();
        let (y, groups) = (item.numbers("y").unwrap(), &item.columns["g"]);
        let (n, levels) = (5.0, 6.0);
        let mut sums: HashMap<&str, f64> = HashMap::new();
        for (y, g) in y.iter().zip(groups) {
            *sums.entry(g).or_default() += y;
        }
        let grand = y.iter().sum::<f64>() / (n * levels);
        let between = n * sums.values().map(|s| (s / n - grand).powi(2)).sum::<f64>() / (levels - 1.0);
        let rest: f64 = y.iter().zip(groups).map(|(y, g)| (y - sums[g.as_str()] / n).powi(2)).sum();
        let within = rest / (levels * (n - 1.0));
        let tau2 = (between - within) / n;
        assert!(item.digits("beta", &[("Intercept", "", grand)]).unwrap() > 13.0);
        assert!(item.digits("sigma", &[("", "", within.sqrt())]).unwrap() > 13.0);
        assert!(item.digits("random_cov[g]", &[("Intercept", "Intercept", tau2)]).unwrap() > 12.0);
        assert!(item.digits("sigma", &[("", "", 1.001 * within.sqrt())]).unwrap() < 3.1);
        assert!(item.digits("beta", &[("(Intercept)", "", grand)]).is_none());
    }

    #[test]
    fn doubles_are_read_to_the_bit() {
        assert_eq!(hexadecimal("-0x1.999999999999ap-4"), Some(-0.1));
        assert_eq!(hexadecimal("0x0.0p+0"), Some(0.0));
        assert_eq!(hexadecimal("0x1.fffffffffffffp+1023"), Some(f64::MAX));
        assert_eq!(hexadecimal("0x0.0000000000001p-1022"), Some(5e-324));
        assert_eq!(hexadecimal("control"), None);
    }

    #[test]
    fn quotes_hold_commas() {
        assert_eq!(cells("a,\"b,\"\"c\"\"\",,d"), ["a", "b,\"c\"", "", "d"]);
    }
}
