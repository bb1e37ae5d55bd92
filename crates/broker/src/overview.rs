//! The site in numbers: links by state, what is to be uploaded, and what was handed out hour by hour.

use std::collections::BTreeMap;

use store::{HourCount, LinkCondition, UploadState};

use crate::{
    AsSiteManager, ProviderId, Result,
    counts::{HOUR_S, HOURS},
};

/// The site in numbers.
#[derive(Debug, Clone)]
pub struct Overview {
    /// Links of each provider that has some.
    pub links: BTreeMap<ProviderId, LinkNumbers>,
    /// Uploads of keys by state, `pending`, `present` and so on, those that are as wanted too.
    pub uploads: Vec<(&'static str, i64)>,
    /// The last 24 hours, oldest first, those in which nothing happened too.
    pub hours: Vec<Hour>,
}

/// How many links of a provider work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkNumbers {
    /// Those that work.
    pub linked: i64,
    /// Those whose consent for Git is missing.
    pub unfinished: i64,
    /// Those whose tokens are dead.
    pub dead: i64,
}

/// What happened in one hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hour {
    /// Its first second, unix seconds.
    pub at: i64,
    /// Credentials given to Git.
    pub credentials: i64,
    /// Credentials refused.
    pub credentials_refused: i64,
    /// Signatures given to SSH and Git.
    pub signatures: i64,
    /// Signatures refused.
    pub signatures_refused: i64,
    /// Tokens renewed.
    pub refreshes: i64,
    /// Renewals that failed, and links that died of one.
    pub refreshes_failed: i64,
}

impl LinkNumbers {
    /// All of them.
    pub fn all(&self) -> i64 {
        self.linked + self.unfinished + self.dead
    }
}

impl AsSiteManager {
    /// The site in numbers, ten seconds old at most.
    pub async fn overview(&self) -> Result<Overview> {
        let counts = self.broker.counts().await?;
        let mut links: BTreeMap<ProviderId, LinkNumbers> = BTreeMap::new();
        for count in &counts.conditions {
            let numbers = links.entry(count.provider_id.clone()).or_default();
            match count.condition {
                LinkCondition::Linked => numbers.linked = count.number,
                LinkCondition::Unfinished => numbers.unfinished = count.number,
                LinkCondition::Dead => numbers.dead = count.number,
            }
        }
        let uploads = counts.uploads.iter();
        let uploads = uploads
            .filter(|count| count.state != UploadState::Absent)
            .map(|count| (count.state.as_str(), count.number));
        Ok(Overview {
            links,
            uploads: uploads.collect(),
            hours: by_hour(counts.from, &counts.hours),
        })
    }
}

/// The 24 hours from `from` on, with what was counted in each.
fn by_hour(from: i64, counts: &[HourCount]) -> Vec<Hour> {
    let mut hours: Vec<Hour> = (0..HOURS)
        .map(|hour| Hour {
            at: from + hour * HOUR_S,
            ..Hour::default()
        })
        .collect();
    for count in counts {
        let Some(hour) = hours.iter_mut().find(|hour| hour.at == count.hour_at) else {
            continue;
        };
        let place = match count.action.as_str() {
            "credential.give" => &mut hour.credentials,
            "credential.refuse" => &mut hour.credentials_refused,
            "sign.give" => &mut hour.signatures,
            "sign.refuse" => &mut hour.signatures_refused,
            "grant.refresh" => &mut hour.refreshes,
            "grant.refresh-failed" | "link.dead" => &mut hour.refreshes_failed,
            _ => continue,
        };
        *place += count.number;
    }
    hours
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(hour_at: i64, action: &str, number: i64) -> HourCount {
        HourCount {
            hour_at,
            action: action.to_owned(),
            number,
        }
    }

    #[test]
    fn every_hour_is_there_and_every_count_in_its_own() {
        let counts = [
            count(7200, "credential.give", 5),
            count(7200, "sign.refuse", 2),
            count(7200, "grant.refresh-failed", 1),
            count(7200, "link.dead", 1),
            count(7200, "user.add", 9),
            count(7200 + 24 * HOUR_S, "sign.give", 9),
        ];
        let hours = by_hour(3600, &counts);
        assert_eq!(hours.len(), 24);
        let busy = Hour {
            at: 7200,
            credentials: 5,
            signatures_refused: 2,
            refreshes_failed: 2,
            ..Hour::default()
        };
        assert_eq!(hours[1], busy);
        let quiet = hours.iter().filter(|hour| {
            let empty = Hour {
                at: hour.at,
                ..Hour::default()
            };
            **hour == empty
        });
        assert_eq!(quiet.count(), 23, "what happened later is not shown");
    }
}
