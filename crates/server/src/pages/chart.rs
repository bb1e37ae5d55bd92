//! Bars drawn by the server as SVG: attributes and classes alone, so that the page's policy allows them.

use super::text;

/// Height of the bars, in the drawing's own units.
const HEIGHT: i64 = 96;
/// Width of one hour with its gap.
const STEP: i64 = 20;

/// Two counts for each of 24 hours, one on top of the other.
pub struct Chart {
    /// Unique on the page.
    pub id: &'static str,
    /// What is counted.
    pub title: &'static str,
    /// What the lower part of a bar counts.
    pub good: &'static str,
    /// What the upper part counts.
    pub bad: &'static str,
    /// The hours, oldest first.
    pub bars: Vec<Bar>,
    /// The largest sum of an hour.
    pub most: i64,
}

/// One hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// The hour's first second, unix seconds.
    pub at: i64,
    /// How often it went well.
    pub good: i64,
    /// How often it did not.
    pub bad: i64,
    /// Left edge.
    pub x: i64,
    /// Top of the lower part.
    pub good_y: i64,
    /// Its height.
    pub good_height: i64,
    /// Top of the upper part.
    pub bad_y: i64,
    /// Its height.
    pub bad_height: i64,
}

impl Chart {
    /// A chart of `counts`: an hour's first second, how often it went well, how often not.
    pub fn new(
        id: &'static str,
        title: &'static str,
        [good, bad]: [&'static str; 2],
        counts: impl IntoIterator<Item = (i64, i64, i64)>,
    ) -> Self {
        let counts: Vec<_> = counts.into_iter().collect();
        let most = counts.iter().map(|(_, good, bad)| good + bad).max();
        let most = most.unwrap_or_default();
        let bars = (0..)
            .zip(&counts)
            .map(|(number, it)| bar(number, *it, most));
        Self {
            id,
            title,
            good,
            bad,
            bars: bars.collect(),
            most,
        }
    }

    /// The sums in one sentence, for who does not see the bars.
    pub fn summary(&self) -> String {
        let good: i64 = self.bars.iter().map(|bar| bar.good).sum();
        let bad: i64 = self.bars.iter().map(|bar| bar.bad).sum();
        format!(
            "{} in the last 24 hours: {good} {}, {bad} {}.",
            self.title, self.good, self.bad
        )
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.most == 0
    }

    /// Every sixth hour with its place, for the axis.
    pub fn ticks(&self) -> Vec<(i64, String)> {
        let sixth = self.bars.iter().step_by(6);
        sixth.map(|bar| (bar.x, text::hour(&bar.at))).collect()
    }
}

fn bar(number: i64, (at, good, bad): (i64, i64, i64), most: i64) -> Bar {
    // Rounded up: what happened once beside what happened a thousand times is still seen.
    let height = |count: i64| {
        (count * HEIGHT).div_euclid(most.max(1)) + i64::from(count * HEIGHT % most.max(1) > 0)
    };
    let good_height = height(good).min(HEIGHT - i64::from(bad > 0));
    let bad_height = height(bad).min(HEIGHT - good_height);
    Bar {
        at,
        good,
        bad,
        x: number * STEP,
        good_y: HEIGHT - good_height,
        good_height,
        bad_y: HEIGHT - good_height - bad_height,
        bad_height,
    }
}

/// Parts of a whole side by side on a line of 100: left edge and width of each. What is there at all
/// is at least 2 wide.
pub fn shares<const N: usize>(counts: &[i64; N]) -> [(i64, i64); N] {
    let all: i64 = counts.iter().sum();
    let seen = counts.iter().filter(|count| **count > 0);
    let rest = 100 - 2 * seen.map(|_| 1).sum::<i64>();
    let mut left = 0;
    counts.map(|count| {
        let least = 2 * i64::from(count > 0);
        let width = least + count * rest / all.max(1);
        let part = (left, width);
        left += width;
        part
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(counts: &[(i64, i64, i64)]) -> Chart {
        let words = ["given", "refused"];
        Chart::new("c", "Credentials", words, counts.iter().copied())
    }

    #[test]
    fn bars_stand_on_the_ground_and_never_leave_the_drawing() {
        let chart = chart(&[(0, 1000, 1), (3600, 0, 0), (7200, 1, 0), (10_800, 0, 1001)]);
        for bar in &chart.bars {
            assert_eq!(bar.good_y + bar.good_height, HEIGHT, "{bar:?}");
            assert_eq!(bar.bad_y + bar.bad_height, bar.good_y, "{bar:?}");
            assert!(bar.bad_y >= 0, "{bar:?}");
            assert_eq!(bar.good_height > 0, bar.good > 0, "{bar:?}");
            assert_eq!(bar.bad_height > 0, bar.bad > 0, "{bar:?}");
        }
        assert_eq!(chart.bars[3].bad_height, HEIGHT);
        assert_eq!(chart.most, 1001);
    }

    #[test]
    fn says_in_words_what_it_shows() {
        let chart = chart(&[(0, 2, 1), (3600, 3, 0)]);
        let words = "Credentials in the last 24 hours: 5 given, 1 refused.";
        assert_eq!(chart.summary(), words);
        assert!(!chart.is_empty());
    }

    #[test]
    fn nothing_counted_is_no_bar() {
        let chart = chart(&[(0, 0, 0), (3600, 0, 0)]);
        assert!(chart.is_empty());
        assert!(chart.bars.iter().all(|bar| bar.good_height == 0));
    }

    #[test]
    fn shares_stand_side_by_side_and_a_small_one_is_seen() {
        assert_eq!(shares(&[1, 0, 1]), [(0, 50), (50, 0), (50, 50)]);
        assert_eq!(shares(&[998, 1, 1]), [(0, 95), (95, 2), (97, 2)]);
        assert_eq!(shares(&[0, 0, 0]), [(0, 0), (0, 0), (0, 0)]);
    }
}
