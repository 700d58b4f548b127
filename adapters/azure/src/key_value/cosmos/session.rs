//! Session tokens, by which a client reads its own writes.
//!
//! Each response of Cosmos DB contains the progress of the replica that served it, one token for each partition key
//! range. A read with the newest token is served by a replica with at least that progress, or fails with 404/1002.
//! Source: <https://learn.microsoft.com/azure/cosmos-db/consistency-levels#session-consistency>.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::CosmosAccount;

/// The newest tokens of one container.
#[derive(Default)]
pub(super) struct Session(Mutex<BTreeMap<String, Token>>);

/// The sessions of all containers.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<BTreeMap<String, Arc<Session>>>);

impl Sessions {
    /// The session of a container, shared by all its handles.
    pub(super) fn of(&self, account: &CosmosAccount, container: &str) -> Arc<Session> {
        let place = format!("{} {} {container}", account.endpoint, account.database);
        Arc::clone(self.0.lock().entry(place).or_default())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session of {} ranges", self.0.lock().len())
    }
}

impl Session {
    /// Stores the tokens of a response. Malformed tokens are ignored.
    pub(super) fn learn(&self, header: &str) {
        for part in header.split(',') {
            let Some((range, token)) = part.trim().split_once(':') else { continue };
            let Some(token) = Token::parse(token) else { continue };
            let mut tokens = self.0.lock();
            match tokens.get_mut(range) {
                Some(stored) => stored.merge(token),
                None => drop(tokens.insert(range.to_owned(), token)),
            }
        }
    }

    /// The token to send with a read; `None` before the first response.
    pub(super) fn token(&self) -> Option<String> {
        let tokens = self.0.lock();
        let parts: Vec<_> = tokens.iter().map(|(range, token)| format!("{range}:{token}")).collect();
        (!parts.is_empty()).then(|| parts.join(","))
    }
}

/// The progress of a range: `version#global#region=local#…`, or a bare number in the older form.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    version: Option<i64>,
    global: i64,
    regions: BTreeMap<u64, i64>,
}

impl Token {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('#');
        let first = parts.next()?.parse().ok()?;
        let Some(global) = parts.next() else {
            return Some(Self { version: None, global: first, regions: BTreeMap::new() });
        };
        let region = |part: &str| {
            let (region, local) = part.split_once('=')?;
            Some((region.parse().ok()?, local.parse().ok()?))
        };
        let regions = parts.map(region).collect::<Option<_>>()?;
        Some(Self { version: Some(first), global: global.parse().ok()?, regions })
    }

    /// Becomes the newer of both. The version changes when regions are added or removed: then the token with the higher
    /// version determines the regions.
    fn merge(&mut self, other: Self) {
        let (mut newer, older) =
            if other.version >= self.version { (other, self.clone()) } else { (self.clone(), other) };
        if newer.version == older.version {
            newer.global = newer.global.max(older.global);
            for (region, local) in older.regions {
                let newest = newer.regions.entry(region).or_insert(local);
                *newest = local.max(*newest);
            }
        } else {
            for (region, local) in &mut newer.regions {
                *local = older.regions.get(region).copied().unwrap_or(*local).max(*local);
            }
        }
        *self = newer;
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(version) = self.version {
            write!(f, "{version}#")?;
        }
        write!(f, "{}", self.global)?;
        self.regions.iter().try_for_each(|(region, local)| write!(f, "#{region}={local}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(headers: &[&str]) -> Option<String> {
        let session = Session::default();
        headers.iter().for_each(|header| session.learn(header));
        session.token()
    }

    #[test]
    fn the_newest_token_of_each_range_is_sent() {
        assert_eq!(after(&[]), None);
        assert_eq!(after(&["3:0#1#0=1"]).as_deref(), Some("3:0#1#0=1"));
        assert_eq!(after(&["0:1#7#0=5", "0:1#9#0=4"]).as_deref(), Some("0:1#9#0=5"));
        assert_eq!(after(&["0:1#7#0=4", "0:1#9#0=5"]).as_deref(), Some("0:1#9#0=5"));
        assert_eq!(after(&["0:1#9", "0:1#7"]).as_deref(), Some("0:1#9"));
        assert_eq!(after(&["0:-1#5,1:-1#6", "1:-1#9"]).as_deref(), Some("0:-1#5,1:-1#9"));
        assert_eq!(after(&["0:12", "0:11"]).as_deref(), Some("0:12"));
    }

    #[test]
    fn the_higher_version_determines_the_regions() {
        assert_eq!(after(&["0:1#9#0=5#1=8", "0:2#7#0=4"]).as_deref(), Some("0:2#7#0=5"));
        assert_eq!(after(&["0:2#7#0=4", "0:1#9#0=5#1=8"]).as_deref(), Some("0:2#7#0=5"));
    }

    #[test]
    fn a_malformed_token_changes_nothing() {
        assert_eq!(after(&["", ",", "0", "0:", "0:x", "0:1#", "0:1#2#3", "0:1#2#a=b"]), None);
        assert_eq!(after(&["0:1#2", "0:x#9"]).as_deref(), Some("0:1#2"));
    }
}
