//! Words of a response that the operator has set aside, one by one, so that it could be stored or
//! served: kept with it, so that each use can say so.

use http::header;

use super::directives::Directives;
use super::judged::{Answered, Asked, Rules};

/// What was set aside; nothing for nearly all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bent(u8);

const AUTHORIZATION: u8 = 1;
const SET_COOKIE_DROPPED: u8 = 1 << 1;
const MUST_REVALIDATE: u8 = 1 << 2;

/// Each with its token, what matters most first.
const TOKENS: [(u8, &str); 3] = [
    (AUTHORIZATION, "authorization-by-route"),
    (SET_COOKIE_DROPPED, "set-cookie-dropped"),
    (MUST_REVALIDATE, "must-revalidate-ignored"),
];

// === impl Bent ===

impl Bent {
    /// What the rules set aside of this exchange.
    pub(super) fn of(
        asked: &Asked,
        answered: &Answered,
        directives: &Directives,
        rules: &Rules,
    ) -> Self {
        let is_shared = rules.share_authorized
            && asked.headers.contains_key(header::AUTHORIZATION)
            && !directives.allow_authorized();
        let is_dropped = rules.drop_set_cookie && answered.headers.contains_key(header::SET_COOKIE);
        let is_lifted = rules.lift_must_revalidate
            && (directives.must_revalidate || directives.proxy_revalidate);
        let all = [
            (is_shared, AUTHORIZATION),
            (is_dropped, SET_COOKIE_DROPPED),
            (is_lifted, MUST_REVALIDATE),
        ];
        let bits = all.iter().filter(|(is_set, _)| *is_set);
        Self(bits.fold(0, |bits, (_, bit)| bits | bit))
    }

    /// The one that matters most, as one token for Cache-Status.
    pub fn as_str(self) -> Option<&'static str> {
        let found = TOKENS.iter().find(|(bit, _)| self.0 & bit != 0);
        found.map(|(_, token)| *token)
    }

    /// All of them, for people to read.
    pub fn in_words(self) -> impl Iterator<Item = &'static str> {
        let set = TOKENS.iter().filter(move |(bit, _)| self.0 & bit != 0);
        set.map(|(_, token)| *token)
    }
}
