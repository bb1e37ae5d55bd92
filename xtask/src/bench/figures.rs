//! Durations and rates of one run, and the lines that compare them.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Sorted durations of many calls.
#[derive(Debug, Clone)]
pub struct Figures(Vec<Duration>);

impl Figures {
    /// Takes turns between the calls, `rounds` times, so that a machine that slows down does so for all.
    ///
    /// # Errors
    /// When a call fails.
    pub fn take_turns<const N: usize>(
        rounds: usize,
        mut call: impl FnMut(usize) -> Result<()>,
    ) -> Result<[Self; N]> {
        let mut all: [Vec<Duration>; N] = std::array::from_fn(|_| Vec::with_capacity(rounds));
        for _ in 0..rounds {
            for (which, durations) in all.iter_mut().enumerate() {
                let begun = Instant::now();
                call(which)?;
                durations.push(begun.elapsed());
            }
        }
        Ok(all.map(Self::sorted))
    }

    fn sorted(mut durations: Vec<Duration>) -> Self {
        durations.sort();
        Self(durations)
    }

    /// The duration that `share` (0 to 1) of the calls did not exceed, milliseconds.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index into a few thousand figures"
        )]
        let at = (last as f64 * share).round() as usize;
        self.0
            .get(at)
            .map_or(0.0, |duration| duration.as_secs_f64() * 1000.0)
    }
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Line {
    /// What was measured.
    pub what: String,
    /// Our figure, in `unit`.
    pub ours: f64,
    /// The figure it is compared with; none where the budget is absolute.
    pub yardstick: Option<f64>,
    /// `ms`, `/s` or `MiB`.
    pub unit: &'static str,
    /// The budget in words, as the design has it.
    pub budget: &'static str,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            ours,
            yardstick,
            unit,
            budget,
        } = self;
        write!(f, "{what:<58} {:>10}", format!("{ours:.2} {unit}"))?;
        match yardstick {
            Some(yardstick) => {
                let ratio = ours / yardstick;
                write!(f, " {:>10} {ratio:>7.2}×", format!("{yardstick:.2} {unit}"))?;
            }
            None => write!(f, " {:>10} {:>8}", "", "")?,
        }
        write!(f, "  {budget}")
    }
}
