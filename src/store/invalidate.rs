//! Invalidation: what is to be forgotten, and how, as one value with one entry.
//!
//! It names URLs and not keys, so that it can be printed, and carried to others whose keys are made
//! by other rules. What is being fetched at that moment is met too: those clients get their answer,
//! but it does not become a hit, for it may have been made before the change that this is about.

use std::fmt::{self, Display};
use std::time::SystemTime;

use super::Store;
use super::flight::Flights;
use super::pattern::Pattern;
use super::stamps::{Area, Fate, SLASHES_MAX};
use super::sweep::Work;
use crate::semantics::key::{Key, KeyBuf, Scheme, normal_authority};
use crate::semantics::path_form;
use crate::semantics::reference::{BadUrl, Target};

/// What is to be forgotten, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalidation {
    /// What it is about.
    pub what: What,
    /// What becomes of it.
    pub how: How,
}

/// Responses that are invalidated together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// All variants of a page, by whichever scheme it is reached: an operator means the page and
    /// not the way to it.
    Url(Target),
    /// All variants of this very URI: no other origin's (RFC 9111 §4.4).
    Uri(Target),
    /// All URLs of a host and port, by either scheme.
    Host(Target),
    /// All URLs that begin like this one, by either scheme. Its path ends with a slash.
    Prefix(Target),
    /// A page with whatever query, by either scheme.
    Path(Target),
    /// All that has one of these tags, wherever it is from.
    Tags(Vec<String>),
    /// All of one origin that has one of these tags: what an answer says of others is about its own
    /// origin alone (RFC 9875 §2.1).
    TagsOf(Origin, Vec<String>),
    /// All that meets a pattern.
    Pattern(Pattern),
    /// Everything.
    All,
}

/// Scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The scheme.
    pub scheme: Scheme,
    /// Host and port, as keys have them.
    pub authority: String,
}

/// What cannot be the beginning of URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPrefix {
    /// No URL.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// It ends within a name, or in a query.
    #[error("a path that ends with a slash is wanted, and no query")]
    Open,
    /// Its path is too deep.
    #[error("the path has more than {SLASHES_MAX} slashes")]
    Deep,
}

/// What becomes of the objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// They are gone.
    Hard,
    /// They are stale from now on: the next request revalidates them.
    Soft,
}

// === impl Store ===

impl Store {
    /// Carries it out, and tells how many objects it was about, where that is known. `key_of` makes
    /// the key of a target for a host in normal form.
    pub fn invalidate(
        &self,
        invalidation: &Invalidation,
        key_of: impl Fn(&Target) -> KeyBuf,
        now: SystemTime,
    ) -> Option<u64> {
        let how = invalidation.how;
        let purge = |target: &Target| self.purge_uri(&key_of(target), how, now);
        match &invalidation.what {
            What::Url(target) => Some(by_either_scheme(target).iter().map(purge).sum()),
            What::Uri(target) => Some(purge(target)),
            What::Host(area) | What::Prefix(area) => {
                self.purge_area(area, how, now);
                None
            }
            What::Path(target) => {
                let keys = by_either_scheme(target);
                let areas: Vec<_> = keys.iter().map(key_of).map(Area::Path).collect();
                self.stamps.add_areas(&areas, how.fate(now));
                None
            }
            What::Tags(tags) => self.purge_tags(tags, None, how, now),
            What::TagsOf(origin, tags) => self.purge_tags(tags, Some(origin), how, now),
            What::Pattern(pattern) => {
                self.stamps.add_pattern(pattern, how.fate(now));
                None
            }
            What::All => Some(self.purge_all(how, now)),
        }
    }

    /// All that is stored of a URI, also where it lies under an equivalent one.
    fn purge_uri(&self, key: &KeyBuf, how: How, now: SystemTime) -> u64 {
        let elsewhere = self.equivalent(key).map(|(place, _)| place);
        let keys = [Some(key.to_key()), elsewhere];
        let keys = keys.iter().flatten();
        keys.map(|key| self.purge(key, how, now)).sum()
    }

    fn purge(&self, key: &Key, how: How, now: SystemTime) -> u64 {
        let mut shard = self.flights.shard(key.as_ref()).lock();
        Flights::doom(&mut shard, key);
        self.misses.unmark(key.as_ref());
        let Some(shelf) = self.shelf_in(&shard, key.as_ref()) else {
            return 0;
        };
        let left = match how {
            How::Hard => None,
            How::Soft => Some(shelf.expired(now)),
        };
        self.memory.put_left(key, left);
        shelf.objects().len() as u64
    }

    /// A number for what was asked for before now. No object is looked at, and no flight.
    fn purge_all(&self, how: How, now: SystemTime) -> u64 {
        let mut count = self.memory.objects();
        self.stamps.add(how.fate(now), |born| {
            if how == How::Hard {
                count = self.memory.count_since(born);
            }
        });
        count
    }

    /// The same for the keys of an area. How many objects that is nobody knows.
    fn purge_area(&self, area: &Target, how: How, now: SystemTime) {
        // Keys hold paths in normal form, but on routes that tell spellings apart.
        let normal = path_form::normal(&area.path_and_query).map(|it| Target {
            path_and_query: it.target,
            ..area.clone()
        });
        let targets = [area].into_iter().chain(&normal).flat_map(by_either_scheme);
        let areas: Vec<_> = targets
            .map(|it| KeyBuf::new(it.scheme, &it.authority, &it.path_and_query))
            .map(Area::Below)
            .collect();
        self.stamps.add_areas(&areas, how.fate(now));
    }

    /// The same for what has a tag. The index counts what it is about, unless only one origin's is meant,
    /// or there are too many that may have several of the tags.
    fn purge_tags(
        &self,
        tags: &[String],
        origin: Option<&Origin>,
        how: How,
        now: SystemTime,
    ) -> Option<u64> {
        let hasher = self.stamps.hasher();
        let hash = |tag: &String| hasher.hash(tag.as_bytes());
        let tags: Vec<_> = tags.iter().map(hash).collect();
        let key = origin.map(|it| KeyBuf::new(it.scheme, &it.authority, ""));
        let mut count = None;
        let after = |born| {
            let mut index = self.memory.tags();
            if origin.is_none() {
                count = index.count(&tags);
            }
            match (how, origin) {
                (How::Soft, _) => {}
                (How::Hard, None) => {
                    let taken = tags.iter().filter_map(|tag| index.take(*tag));
                    self.sweeping.note(born, Work::Taken(taken.collect()));
                }
                (How::Hard, Some(_)) => self.sweeping.note(born, Work::Tags(tags.clone())),
            }
        };
        let origin = key.as_deref().map(Key::origin);
        self.stamps.add_tags(&tags, origin, how.fate(now), after);
        count
    }
}

// === impl Invalidation ===

impl Display for Invalidation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.how {
            How::Hard => write!(f, "purge of {}", self.what),
            How::Soft => write!(f, "soft purge of {}", self.what),
        }
    }
}

// === impl What ===

impl What {
    /// All URLs of a host, with its port if it is no scheme's own.
    ///
    /// # Errors
    /// [`BadUrl`] when it is no valid host.
    pub fn host(host: &str) -> Result<Self, BadUrl> {
        let authority = normal_authority(host, Scheme::Http).ok_or(BadUrl)?;
        Ok(Self::Host(Target {
            scheme: Scheme::Http,
            authority: authority.into_owned(),
            path_and_query: "/".to_owned(),
        }))
    }

    /// All URLs that begin like an absolute one.
    ///
    /// # Errors
    /// [`BadPrefix`] says what is wrong with it.
    pub fn prefix(url: &str) -> Result<Self, BadPrefix> {
        let target = Target::parse(url)?;
        let path = target.path_and_query.as_bytes();
        if !path.ends_with(b"/") || path.contains(&b'?') {
            return Err(BadPrefix::Open);
        }
        match memchr::memchr_iter(b'/', path).count() > SLASHES_MAX {
            true => Err(BadPrefix::Deep),
            false => Ok(Self::Prefix(target)),
        }
    }
}

impl Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(target) => write!(f, "{target} by either scheme"),
            Self::Uri(target) => write!(f, "{target}"),
            Self::Host(target) => write!(f, "the host {}", target.authority),
            Self::Prefix(target) => write!(f, "all that begins with {target} by either scheme"),
            Self::Path(target) => write!(f, "{target} with any query, by either scheme"),
            Self::Tags(tags) => write!(f, "all with a tag of {}", tags.join(", ")),
            Self::TagsOf(origin, tags) => {
                let (scheme, tags) = (origin.scheme.as_str(), tags.join(", "));
                write!(
                    f,
                    "all of {scheme}://{} with a tag of {tags}",
                    origin.authority
                )
            }
            Self::Pattern(pattern) => write!(f, "all that meets {}", pattern.as_str()),
            Self::All => f.write_str("everything"),
        }
    }
}

// === impl How ===

impl How {
    fn fate(self, now: SystemTime) -> Fate {
        match self {
            Self::Hard => Fate::Gone,
            Self::Soft => Fate::Stale { since: now },
        }
    }
}

fn by_either_scheme(target: &Target) -> Vec<Target> {
    let schemes = [Scheme::Http, Scheme::Https];
    let targets = schemes.into_iter().filter_map(|scheme| {
        Some(Target {
            scheme,
            authority: normal_authority(&target.authority, scheme)?.into_owned(),
            path_and_query: target.path_and_query.clone(),
        })
    });
    targets.collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;
    use std::time::Duration;

    use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
    use http_body_util::BodyExt;

    use super::super::flight::Outcome;
    use super::super::pattern::Subject;
    use super::super::stamps::InForce;
    use super::super::{
        Claim, Filler, Found, Head, Laggards, Leader, Object, Sliced, Slot, Source, Writer,
    };
    use super::*;
    use crate::clock;
    use crate::config;
    use crate::semantics::combine::Version;
    use crate::semantics::facet::Facet;
    use crate::semantics::freshness::{Freshness, Term};
    use crate::semantics::tags::TagRule;
    use crate::semantics::vary::{Selecting, Variant};

    const LIFETIME: Duration = Duration::from_secs(60);
    fn all(how: How) -> Invalidation {
        Invalidation {
            what: What::All,
            how,
        }
    }

    const TAG: &str = "page";

    /// All that meets `/a` by a number.
    fn stamps() -> Vec<Invalidation> {
        let mut stamps = stamps_of_keys();
        let origin = Origin {
            scheme: Scheme::Http,
            authority: "a.test".to_owned(),
        };
        let tags = || vec!["none".to_owned(), TAG.to_owned()];
        let by_tag = Pattern::new(&[(Subject::Tags, TAG)]).unwrap();
        for what in [
            What::Tags(tags()),
            What::TagsOf(origin, tags()),
            What::Pattern(by_tag),
        ] {
            let how = [How::Hard, How::Soft].into_iter();
            stamps.extend(how.map(|how| Invalidation {
                what: what.clone(),
                how,
            }));
        }
        stamps
    }

    /// The same, but for what only the answer tells.
    fn stamps_of_keys() -> Vec<Invalidation> {
        let host = What::host("a.test").unwrap();
        let prefix = What::prefix("https://a.test/").unwrap();
        let by_path = Pattern::new(&[(Subject::Url, "^a.test/[a-z]$")]).unwrap();
        let each = |what: What| {
            let how = [How::Hard, How::Soft].into_iter();
            how.map(move |how| Invalidation {
                what: what.clone(),
                how,
            })
        };
        [What::All, host, prefix, What::Pattern(by_path)]
            .into_iter()
            .flat_map(each)
            .collect()
    }

    fn store() -> Arc<Store> {
        Store::new(&config::Store {
            memory_bytes: 64 << 20,
            object_bytes_max: 1 << 20,
            fill_bytes_max: 1 << 20,
            variants_max: 4,
            followers_max: 4,
            follower_timeout: Duration::from_secs(1),
            hit_for_miss: Duration::from_secs(60),
            hit_for_miss_max: 1000,
            finish_fill: true,
        })
    }

    fn target(path: &str) -> Target {
        Target::parse(&format!("http://a.test{path}")).unwrap()
    }

    fn key_of(target: &Target) -> KeyBuf {
        KeyBuf::new(target.scheme, &target.authority, &target.path_and_query)
    }

    fn key(path: &str) -> Key {
        key_of(&target(path)).to_key()
    }

    fn fields() -> HeaderMap {
        let tags = HeaderValue::from_static("page one two three four");
        HeaderMap::from_iter([(HeaderName::from_static("xkey"), tags)])
    }

    fn any() -> (HeaderMap, Facet) {
        (HeaderMap::new(), Facet::default())
    }

    fn lead(store: &Arc<Store>, path: &str) -> Leader {
        let (headers, facet) = any();
        let selecting = Selecting {
            headers: &headers,
            facet: &facet,
        };
        match store.claim(&key(path), &selecting, is_fresh_now) {
            Claim::Leader(leader) => leader,
            _ => panic!("another request asks already, or has come"),
        }
    }

    fn is_fresh_now(object: &Object) -> bool {
        matches!(
            object.term().freshness(clock::now()),
            Freshness::Fresh { .. }
        )
    }

    /// Answers the leader's question with this text.
    async fn begin(leader: Leader, text: &str) -> Filler {
        let admission = leader.admit(Some(text.len() as u64)).unwrap();
        let head = Head::tagged(StatusCode::OK, &fields(), &TagRule::default()).unwrap();
        let term = Term::new(clock::now(), LIFETIME);
        let laggards = Laggards::default();
        let variant = Variant::default();
        let (mut filler, ..) = leader.begin(admission, head, term, variant, true, laggards);
        filler.push(text.as_bytes()).await.unwrap();
        filler
    }

    async fn fill(store: &Arc<Store>, path: &str, text: &str) {
        begin(lead(store, path), text).await.complete();
    }

    fn find(store: &Store, path: &str) -> Option<Arc<Object>> {
        let (headers, facet) = any();
        let selecting = Selecting {
            headers: &headers,
            facet: &facet,
        };
        match store.find(key(path).as_ref(), &selecting, clock::now()) {
            Found::Object(object) => Some(object),
            Found::Uncacheable | Found::Absent { .. } => None,
        }
    }

    fn is_hit(store: &Store, path: &str) -> bool {
        find(store, path).is_some_and(|object| is_fresh_now(&object))
    }

    fn invalidate(store: &Store, wanted: &Invalidation) -> Option<u64> {
        store.invalidate(wanted, key_of, clock::now())
    }

    #[tokio::test]
    async fn a_purge_of_everything_looks_at_nothing() {
        for (how, left) in [(How::Hard, 0), (How::Soft, 1000)] {
            let store = store();
            for number in 0..1000 {
                fill(&store, &format!("/{number}"), "text").await;
            }
            let read = store.memory.reads();
            assert_eq!(invalidate(&store, &all(how)), Some(1000));
            assert_eq!(
                (store.memory.reads() - read, store.stats().objects),
                (0, left)
            );
            assert!(!is_hit(&store, "/0"));
            assert_eq!(
                store.memory.reads() - read,
                2,
                "first and second look at one"
            );
            assert_eq!(invalidate(&store, &all(how)), Some(left));
        }
    }

    fn tags(of: &[&str], how: How) -> Invalidation {
        let what = What::Tags(of.iter().map(|tag| (*tag).to_owned()).collect());
        Invalidation { what, how }
    }

    #[tokio::test]
    async fn a_purge_by_tag_looks_at_nothing_and_counts() {
        for (how, again) in [(How::Hard, 0), (How::Soft, 1000)] {
            let store = store();
            for number in 0..1000 {
                fill(&store, &format!("/{number}"), "text").await;
            }
            let read = store.memory.reads();
            assert_eq!(invalidate(&store, &tags(&["none"], how)), Some(0));
            assert_eq!(invalidate(&store, &tags(&[TAG, "one"], how)), Some(1000));
            assert_eq!(invalidate(&store, &tags(&[TAG], how)), Some(again));
            assert_eq!(store.memory.reads(), read);
            assert!(!is_hit(&store, "/0"));
            store.tidy();
            let left = if how == How::Hard { 0 } else { 1000 };
            assert_eq!(store.stats().objects, left);
            assert_eq!(store.stats().tags, if left > 0 { 5 } else { 0 });
        }
    }

    #[tokio::test]
    async fn what_nobody_needs_any_more_is_forgotten_by_tidying() {
        let store = store();
        fill(&store, "/a", "text").await;
        let early = lead(&store, "/b");
        let hard = |it: &Invalidation| it.how == How::Hard;
        for wanted in stamps().into_iter().filter(hard) {
            invalidate(&store, &wanted);
        }
        store.tidy();
        let left = store.stats().stamps;
        assert!(
            left.tags > 0 && left.patterns > 0,
            "one is in the air: {left:?}"
        );
        drop(early);
        store.tidy();
        assert_eq!(store.stats().stamps, InForce::default());
        fill(&store, "/a", "text").await;
        assert!(is_hit(&store, "/a") && store.sweep_progress().is_none());
    }

    #[tokio::test]
    async fn a_soft_pattern_goes_when_all_it_is_about_has_been_marked() {
        let store = store();
        fill(&store, "/a", "text").await;
        let what = What::Pattern(Pattern::new(&[(Subject::Path, "^/a")]).unwrap());
        let (wanted, how) = (what, How::Soft);
        invalidate(&store, &Invalidation { what: wanted, how });
        store.tidy();
        assert_eq!(store.stats().stamps.patterns, 0);
        assert!(find(&store, "/a").unwrap().term().is_expired());
    }

    /// A follower that came after a purge by tag, of whose answer nobody knew the tags yet.
    #[tokio::test]
    async fn who_asks_after_a_purge_by_tag_is_not_answered_by_who_asked_before() {
        let (headers, facet) = any();
        let selecting = Selecting {
            headers: &headers,
            facet: &facet,
        };
        for (tag, is_over) in [(TAG, true), ("none", false)] {
            let store = store();
            let leader = lead(&store, "/a");
            invalidate(&store, &tags(&[tag], How::Hard));
            let Claim::Follower(follower) = store.claim(&key("/a"), &selecting, is_fresh_now)
            else {
                panic!("it may well be about something else");
            };
            begin(leader, "old").await.complete();
            let outcome = follower.outcome().await;
            let is_abandoned = matches!(outcome, Some(Outcome::Abandoned));
            assert_eq!((is_abandoned, is_hit(&store, "/a")), (is_over, !is_over));
        }
    }

    #[tokio::test]
    async fn what_an_origin_says_is_about_itself() {
        let store = store();
        fill(&store, "/a", "text").await;
        let origins = [
            (Scheme::Https, "a.test", true),
            (Scheme::Http, "a.test:8080", true),
            (Scheme::Http, "b.test", true),
            (Scheme::Http, "a.test", false),
        ];
        for (scheme, authority, is_left) in origins {
            let authority = authority.to_owned();
            let what = What::TagsOf(Origin { scheme, authority }, vec![TAG.to_owned()]);
            let how = How::Hard;
            assert_eq!(invalidate(&store, &Invalidation { what, how }), None);
            assert_eq!(is_hit(&store, "/a"), is_left);
        }
    }

    #[tokio::test]
    async fn memory_of_what_was_purged_is_given_back_by_tidying() {
        let store = store();
        for number in 0..1000 {
            fill(&store, &format!("/{number}"), "text").await;
        }
        invalidate(&store, &all(How::Hard));
        fill(&store, "/new", "text").await;
        assert!(store.stats().bytes > 100_000);
        store.tidy();
        assert_eq!(store.stats().objects, 1);
        assert!(store.stats().bytes < 2_000, "{:?}", store.stats());
        assert!(is_hit(&store, "/new"));
        assert_eq!(store.stats().evicted, 0);
    }

    /// However much later they are looked at.
    #[tokio::test]
    async fn what_was_purged_softly_is_stale_since_the_first_purge() {
        let store = store();
        fill(&store, "/a", "text").await;
        let (purged, looked_at) = (clock::now(), clock::now() + Duration::from_secs(90));
        for later in [0, 10, 20] {
            let at = purged + Duration::from_secs(later);
            store.invalidate(&all(How::Soft), key_of, at);
        }
        let object = find(&store, "/a").unwrap();
        assert!(object.term().is_expired() && !is_fresh_now(&object));
        assert!(object.term().stale_for(looked_at) >= Duration::from_secs(90));
        let again = find(&store, "/a").unwrap();
        assert!(
            Arc::ptr_eq(&object, &again),
            "a 304 must find what it is about"
        );
    }

    #[tokio::test]
    async fn a_fill_that_was_asked_for_before_a_purge_is_no_hit_after_it() {
        for wanted in stamps() {
            let store = store();
            let (before, early) = (lead(&store, "/a"), begin(lead(&store, "/b"), "old").await);
            invalidate(&store, &wanted);
            // Who asks together with others waits until it shows what a purge by tag was about.
            let (next, other) = (store.alone(&key("/a")), store.alone(&key("/b")));
            begin(before, "old").await.complete();
            early.complete();
            assert!(!is_hit(&store, "/a") && !is_hit(&store, "/b"), "{wanted}");
            begin(next, "new").await.complete();
            begin(other, "new").await.complete();
            assert!(is_hit(&store, "/a") && is_hit(&store, "/b"), "{wanted}");
        }
    }

    /// Asked before, it revives nothing; asked after, it does.
    #[tokio::test]
    async fn a_304_renews_the_birth_of_what_it_confirms() {
        for wanted in stamps() {
            for asked_before in [true, false] {
                let store = store();
                fill(&store, "/a", "text").await;
                invalidate(&store, &all(How::Soft));
                let early = asked_before.then(|| lead(&store, "/a"));
                invalidate(&store, &wanted);
                let stale = find(&store, "/a");
                assert_eq!(stale.is_some(), wanted.how == How::Soft);
                let Some(stale) = stale else { continue };
                let leader = early.unwrap_or_else(|| lead(&store, "/a"));
                let term = Term::new(clock::now(), LIFETIME);
                let fresh =
                    stale.refreshed(&fields(), &TagRule::default(), term, Variant::default());
                leader.land(fresh.unwrap(), Some(&stale), true);
                assert_eq!(is_hit(&store, "/a"), !asked_before, "{wanted}");
            }
        }
    }

    /// By then the stamp is forgotten.
    #[tokio::test]
    async fn what_was_asked_for_before_a_purge_is_no_hit_after_its_sweep() {
        for wanted in stamps() {
            let store = store();
            let (born, leader) = (store.birth(), lead(&store, "/a"));
            let early = begin(lead(&store, "/b"), "old").await;
            invalidate(&store, &wanted);
            store.tidy();
            begin(leader, "old").await.complete();
            early.complete();
            let posted = store.alone_since(&key("/c"), born);
            begin(posted, "old").await.complete();
            let hits = ["/a", "/b", "/c"].map(|path| is_hit(&store, path));
            assert_eq!(hits, [false; 3], "{wanted}");
        }
    }

    #[tokio::test]
    async fn a_permit_that_moves_to_another_key_keeps_its_birth() {
        let store = store();
        let leader = lead(&store, "/a");
        invalidate(&store, &all(How::Hard));
        begin(leader.moved_to(&key("/b")), "old").await.complete();
        assert!(!is_hit(&store, "/b"));
    }

    #[tokio::test]
    async fn a_mark_does_not_outlive_a_purge() {
        let page = |how| Invalidation {
            what: What::Url(target("/a")),
            how,
        };
        for wanted in stamps_of_keys()
            .into_iter()
            .chain([page(How::Hard), page(How::Soft)])
        {
            let store = store();
            let is_marked = || {
                store.is_uncacheable(
                    key("/a").as_ref(),
                    &Selecting::by(&HeaderMap::new()),
                    clock::now(),
                )
            };
            let early = lead(&store, "/a");
            store
                .misses
                .mark(key("/a").as_ref(), None, clock::now(), store.birth());
            assert!(is_marked());
            invalidate(&store, &wanted);
            assert!(!is_marked(), "{wanted}");
            early.decline(true, None, None, clock::now());
            assert!(!is_marked(), "asked before: {wanted}");
            lead(&store, "/a").decline(true, None, None, clock::now());
            assert!(is_marked(), "asked after: {wanted}");
        }
    }

    /// What a browser would see: an origin whose page changes and is purged thereupon, over and over,
    /// while others ask for it, whole, in a slice or by a revalidation. Its text is the number of the
    /// change.
    #[test]
    fn no_race_brings_back_what_was_purged() {
        const ROUNDS: u64 = 4_000;
        let (store, page, purged) = (store(), AtomicU64::new(1), AtomicU64::new(0));
        let pages = [How::Hard, How::Soft].map(|how| Invalidation {
            what: What::Url(target("/a")),
            how,
        });
        // What a page's own purge meets is in the table of flights, and in no stamp.
        let pages = pages.into_iter().cycle().take(stamps().len());
        let wanted: Vec<_> = stamps().into_iter().chain(pages).collect();
        let mut found = Vec::new();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while purged.load(Ordering::SeqCst) < ROUNDS {
                        ask(&store, &page, &purged);
                    }
                });
            }
            for round in 1..=ROUNDS {
                let change = page.fetch_add(1, Ordering::SeqCst) + 1;
                let wanted = &wanted[round as usize % wanted.len()];
                invalidate(&store, wanted);
                purged.store(change, Ordering::SeqCst);
                for _ in 0..2 {
                    let fresh = find(&store, "/a").filter(|object| is_fresh_now(object));
                    let text = fresh.map(|object| number(&object));
                    if text.is_some_and(|text| text < change) {
                        found.push(format!("{text:?} after {change}: {wanted}"));
                    }
                    thread::yield_now();
                }
                if round % 100 == 0 {
                    store.tidy();
                }
            }
            purged.store(u64::MAX, Ordering::SeqCst);
        });
        assert!(found.is_empty(), "{found:?}");
    }

    fn number(object: &Object) -> u64 {
        let text = match object.body().whole() {
            Some(text) => text,
            // In slices, of which the only one may still be arriving.
            None => now(object.body().collect()).unwrap().to_bytes(),
        };
        String::from_utf8_lossy(&text).parse().unwrap()
    }

    fn now<T>(what: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(what)
    }

    /// Of a text that is one slice.
    struct NoOthers;

    impl Source for NoOthers {
        fn bring(&self, _: Slot) {}

        fn weight_bytes(&self) -> usize {
            0
        }
    }

    async fn fill_slice(leader: Leader, text: &str) {
        let len = text.len() as u64;
        let sliced = Sliced {
            complete: len,
            slice_bytes: len,
            version: Version::Tag(text.as_bytes().into()),
            source: Box::new(NoOthers),
        };
        let head = Head::tagged(StatusCode::OK, &fields(), &TagRule::default()).unwrap();
        let term = Term::new(clock::now(), LIFETIME);
        let begun = leader.begin_sliced(head, term, Variant::default(), sliced, 0, true);
        let mut slot = begun.0;
        thread::yield_now();
        slot.push(text.as_bytes()).await.unwrap();
        slot.complete();
    }

    /// One client: a hit, or else a fetch, which may be a revalidation.
    fn ask(store: &Arc<Store>, page: &AtomicU64, purged: &AtomicU64) {
        let floor = purged.load(Ordering::SeqCst);
        let found = find(store, "/a");
        if let Some(object) = found.as_ref().filter(|object| is_fresh_now(object)) {
            let text = number(object);
            assert!(text >= floor || floor == u64::MAX, "{text} after {floor}");
            return;
        }
        let leader = store.alone(&key("/a"));
        let text = page.load(Ordering::SeqCst);
        // The answer takes its time, and purges come meanwhile.
        thread::yield_now();
        match found.filter(|stale| number(stale) == text) {
            Some(stale) => {
                let term = Term::new(clock::now(), LIFETIME);
                let fresh =
                    stale.refreshed(&fields(), &TagRule::default(), term, Variant::default());
                leader.land(fresh.unwrap(), Some(&stale), true);
            }
            None if text.is_multiple_of(3) => now(fill_slice(leader, &text.to_string())),
            None => now(begin(leader, &text.to_string())).complete(),
        }
    }
}
