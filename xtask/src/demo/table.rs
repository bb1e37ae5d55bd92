//! The table that the demo ends with.

use std::fmt;

/// What became of one step at one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// It worked.
    Works,
    /// It does not exist there, and why.
    Absent(&'static str),
    /// It failed, and why.
    Failed(String),
}

/// The steps of the main job, in order.
pub const STEPS: [&str; 5] = ["link", "key", "HTTPS", "SSH", "signed"];

/// A row a provider, a cell a step.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<(&'static str, [Cell; STEPS.len()])>,
}

impl Table {
    /// Adds the row of one provider.
    pub fn add(&mut self, title: &'static str, cells: [Cell; STEPS.len()]) {
        self.rows.push((title, cells));
    }

    /// Whether any cell failed.
    pub fn has_failed(&self) -> bool {
        let mut cells = self.rows.iter().flat_map(|(_, cells)| cells);
        cells.any(|cell| matches!(cell, Cell::Failed(_)))
    }

    /// What failed, one line each.
    pub fn failures(&self) -> Vec<String> {
        let cells = self.rows.iter().flat_map(|(title, cells)| {
            cells
                .iter()
                .zip(STEPS)
                .map(move |(cell, step)| (title, step, cell))
        });
        cells
            .filter_map(|(title, step, cell)| match cell {
                Cell::Failed(why) => Some(format!("{title}, {step}: {why}")),
                Cell::Works | Cell::Absent(_) => None,
            })
            .collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .rows
            .iter()
            .map(|(title, _)| title.chars().count())
            .max()
            .unwrap_or(0);
        write!(f, "{:width$}", "")?;
        for step in STEPS {
            write!(f, "  {step:^6}")?;
        }
        let mut reasons: Vec<&str> = Vec::new();
        for (title, cells) in &self.rows {
            write!(f, "\n{title:width$}")?;
            for cell in cells {
                write!(f, "  {:^6}", mark(cell, &mut reasons))?;
            }
        }
        writeln!(f)?;
        for (number, reason) in reasons.iter().enumerate() {
            write!(f, "\n–{} {reason}", number + 1)?;
        }
        for failure in self.failures() {
            write!(f, "\n✗ {failure}")?;
        }
        writeln!(f)
    }
}

/// ✓, ✗, or – with the number of its reason.
fn mark<'a>(cell: &'a Cell, reasons: &mut Vec<&'a str>) -> String {
    match cell {
        Cell::Works => "✓".to_owned(),
        Cell::Failed(_) => "✗".to_owned(),
        Cell::Absent(reason) => {
            let known = reasons.iter().position(|known| known == reason);
            let number = known.unwrap_or_else(|| {
                reasons.push(reason);
                reasons.len() - 1
            });
            format!("–{}", number + 1)
        }
    }
}
