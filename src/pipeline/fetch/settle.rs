//! Settlement of the origin's answer: it is judged, and then stored, taken as a confirmation of what
//! is stored, or given away.
//!
//! A settlement holds all that the verdict is about but the answer itself; how that was asked for is in
//! `errand.rs`.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{AGE, CONTENT_LENGTH, DATE, SET_COOKIE, VIA};
use http::{HeaderMap, HeaderName, Method, Response, StatusCode, Version};
use http_body::Body as _;

use super::outbound;
use super::resume::Asked;
use super::slices::First;
use crate::body::Body;
use crate::clock;
use crate::origin::{self, Phase};
use crate::pipeline::route::{Route, concurrency};
use crate::pipeline::ruled::{ResponseRules, Ruling};
use crate::pipeline::site::Site;
use crate::pipeline::wanted::Wanted;
use crate::semantics::facet::Facet;
use crate::semantics::freshness::Term;
use crate::semantics::key::KeyBuf;
use crate::semantics::no_vary_search::NoVarySearch;
use crate::semantics::policy::{self, Answered, Rules, judge};
use crate::semantics::storable::{Storable, WhyNot, speaks_of_resource};
use crate::semantics::tags::TagRule;
use crate::semantics::vary::{Selecting, Variant, Vary};
use crate::semantics::{conditional, date, headers};
use crate::store::{Admission, Failure, Head, Laggards, Leader, Object, Resume, TooLong, Writer};

/// The permit to settle an answer, and what it is judged by.
pub(in crate::pipeline) struct Settlement {
    leader: Leader,
    site: Arc<Site>,
    route: Arc<Route>,
    /// The client's own fields, which `Vary` and storability are about.
    asked: HeaderMap,
    facet: Facet,
    pub(in crate::pipeline) rules: Arc<Rules>,
    /// The rules of the configuration that hold for the answer.
    ruled: Option<Arc<ResponseRules>>,
    /// What they have said of it.
    pub(super) ruling: Ruling,
    tags: Arc<TagRule>,
    /// The URI's own key, where a response may say which URIs are one with it.
    own: Option<Box<KeyBuf>>,
    pub(in crate::pipeline) stale: Option<Arc<Object>>,
    /// The client has asked that nothing of this be stored, and is obeyed.
    pub(in crate::pipeline) refused: bool,
    /// How long a client may take nothing of its response.
    patience: Duration,
}

/// A response with the times that its age hangs on.
pub(in crate::pipeline) struct Arrival {
    pub(in crate::pipeline) response: Response<Body>,
    pub(in crate::pipeline) requested_at: SystemTime,
    pub(in crate::pipeline) received_at: SystemTime,
}

/// The answer, as far as the store is concerned.
pub(in crate::pipeline) enum Arrived {
    /// An object whose body is arriving; `body` reads it from the first byte.
    /// `aged`: it came with an `Age`, so it was in a cache before.
    Stored {
        object: Arc<Object>,
        body: Body,
        aged: bool,
    },
    /// The stale object, which a 304 has made fresh.
    Confirmed { object: Arc<Object>, stored: bool },
    /// This client's alone.
    Private {
        response: Response<Body>,
        why: WhyNot,
    },
    /// None came.
    Failed(Failure),
}

/// What an object is made of, once there is room for it.
struct Kept {
    head: Head,
    variant: Variant,
    admission: Admission,
}

// === impl Settlement ===

impl Settlement {
    /// For the answer to a request that was looked up.
    pub(super) fn new(wanted: &Wanted, leader: Leader, stale: Option<Arc<Object>>) -> Self {
        let caching = wanted.caching();
        Self {
            leader,
            site: Arc::clone(wanted.exchange.entry.site.site()),
            route: Arc::clone(wanted.route()),
            asked: wanted.exchange.request.headers.clone(),
            facet: wanted.facet.clone(),
            rules: Arc::clone(caching.rules_of(wanted.is_classed)),
            ruled: wanted.response_rules(),
            ruling: Ruling::default(),
            tags: Arc::clone(&caching.tags),
            own: caching
                .no_vary_search
                .then(|| Box::new(wanted.locator.own_key().clone())),
            stale,
            refused: wanted.asker().forbids_storing(),
            patience: wanted.exchange.site().server.send_timeout,
        }
    }

    /// For the answer to a POST, to which nothing but its own word gives a lifetime. It is filed
    /// under what GETs will be looked up by.
    pub(in crate::pipeline) fn of_post(wanted: &Wanted, leader: Leader) -> Self {
        let caching = wanted.caching();
        let mut asked = wanted.exchange.request.headers.clone();
        let facet = caching.reduce(&mut asked);
        let rules = Rules {
            targets: caching.rules.targets.clone(),
            keep: Duration::ZERO,
            shared_only: caching.rules_of(caching.is_classed(&asked)).shared_only,
            ..Rules::default()
        };
        Self {
            leader,
            site: Arc::clone(wanted.exchange.entry.site.site()),
            route: Arc::clone(wanted.route()),
            asked,
            facet,
            rules: Arc::new(rules),
            // They have been heeded already.
            ruled: None,
            ruling: Ruling::default(),
            tags: Arc::clone(&caching.tags),
            own: caching
                .no_vary_search
                .then(|| Box::new(wanted.key().clone())),
            stale: None,
            refused: false,
            patience: wanted.exchange.site().server.send_timeout,
        }
    }

    /// Has rules edit an answer that has just come, and say how it is judged. A 304 is a part of what is
    /// stored, and has to be put together with that first.
    pub(super) fn heed_rules(&mut self, arrival: &mut Arrival) {
        if !arrival.is_not_modified() {
            let status = arrival.response.status();
            let mut fields = std::mem::take(arrival.response.headers_mut());
            self.rule(status, &mut fields, arrival);
            *arrival.response.headers_mut() = fields;
        }
    }

    fn rule(&mut self, status: StatusCode, fields: &mut HeaderMap, arrival: &Arrival) {
        let Some(ruled) = self.ruled.take() else {
            return;
        };
        let base = Arc::clone(&self.rules);
        let lifetime = |fields: &HeaderMap| match self.judge_by(&base, status, fields, arrival) {
            Storable::Yes(term) => Some(term.lifetime().0.as_secs()),
            Storable::No(_) => None,
        };
        self.ruling = ruled.apply(status, fields, &base, &lifetime);
        self.rules = self.ruling.rules.take().unwrap_or(base);
        self.ruled = Some(ruled);
    }

    /// The rules that hold for further parts of the answer.
    pub(super) fn ruled(&self) -> Option<&Arc<ResponseRules>> {
        self.ruled.as_ref()
    }

    /// Why the answer is not to be stored, whatever it says itself.
    pub(super) fn veto(&self) -> Option<WhyNot> {
        match self.refused {
            true => Some(WhyNot::RequestNoStore),
            false => self.ruling.declined.map(|_| WhyNot::Rule),
        }
    }

    /// Judges the answer and acts on the verdict. A 304 has only come this far if it is about the
    /// stale object. Of what was `asked` the rest can be had, should readers come to need it.
    pub(in crate::pipeline) fn settle(self, arrival: Arrival, asked: Option<Asked>) -> Arrived {
        let (status, now) = (arrival.response.status(), arrival.received_at);
        let fields = arrival.response.headers();
        let key = self.leader.key().as_ref();
        self.site.heed(&self.tags, key, status, fields, false);
        if let (StatusCode::NOT_MODIFIED, Some(stale)) = (status, self.stale.clone()) {
            return self.confirm(&stale, &arrival);
        }
        if self.has_stand_in(status, now) {
            return self.stand_in(arrival.response);
        }
        let verdict = self.judge(status, arrival.response.headers(), &arrival);
        let admitted = match (verdict, self.veto()) {
            (_, Some(why)) | (Storable::No(why), _) => Err(why),
            (Storable::Yes(term), None) => {
                self.admit(&arrival.response, now).map(|kept| (term, kept))
            }
        };
        match admitted {
            Ok((term, kept)) => self.keep(term, kept, arrival, asked),
            Err(why) => self.give_away(arrival.response, why, now),
        }
    }

    pub(in crate::pipeline) fn judge(
        &self,
        status: StatusCode,
        fields: &HeaderMap,
        arrival: &Arrival,
    ) -> Storable {
        self.judge_by(&self.rules, status, fields, arrival)
    }

    fn judge_by(
        &self,
        rules: &Rules,
        status: StatusCode,
        fields: &HeaderMap,
        arrival: &Arrival,
    ) -> Storable {
        let asked = policy::Asked {
            method: &Method::GET,
            headers: &self.asked,
        };
        let answered = Answered {
            status,
            headers: fields,
            requested_at: arrival.requested_at,
            received_at: arrival.received_at,
        };
        judge(&asked, &answered, rules)
    }

    fn selecting(&self) -> Selecting<'_> {
        Selecting {
            headers: &self.asked,
            facet: &self.facet,
        }
    }

    /// The URL that is asked for, for people to read.
    pub(in crate::pipeline) fn url(&self) -> impl Display {
        self.leader.key().display()
    }

    /// Which requests a response with these fields answers; what was chosen by more than the key
    /// can hold answers no other.
    fn variant(&self, fields: &HeaderMap) -> Result<Variant, WhyNot> {
        match Vary::of(fields) {
            Vary::Fields(names) if !names.iter().any(|it| self.is_written_by_us(it)) => {
                Ok(Variant::new(&names, &self.selecting()))
            }
            _ => Err(WhyNot::VaryStar),
        }
    }

    fn is_written_by_us(&self, name: &HeaderName) -> bool {
        outbound::is_written_by_us(name)
            || self.site.request_ids.field() == Some(name)
            || self.route.request_fields.fill(name)
            || (self.route.scope.rules.as_ref()).is_some_and(|it| it.fills(name))
    }

    /// Whether there is room, and the parts of the object to be.
    fn admit(&self, response: &Response<Body>, now: SystemTime) -> Result<Kept, WhyNot> {
        let (head, variant) = self.describe(response, now)?;
        let admission = self.leader.admit(response.body().size_hint().exact())?;
        Ok(Kept {
            head,
            variant,
            admission,
        })
    }

    /// The head as it is stored, and the requests that it is for.
    pub(in crate::pipeline) fn describe(
        &self,
        response: &Response<Body>,
        now: SystemTime,
    ) -> Result<(Head, Variant), WhyNot> {
        let variant = self.variant(response.headers())?;
        if !self.tags.fit(response.headers()) {
            return Err(WhyNot::TooManyTags);
        }
        let mut fields = self.to_store(response.headers().clone(), now);
        self.site.hop.append_via(&mut fields, response.version());
        let head = Head::tagged(response.status(), &fields, &self.tags);
        let head = head.map_err(|TooLong| WhyNot::HeadTooLarge)?;
        Ok((head, variant))
    }

    /// The fields as they are stored: without what belongs to one connection or one moment, and without
    /// cookies, where those are not kept. The body knows its length, and the age is computed on each hit.
    fn to_store(&self, mut fields: HeaderMap, now: SystemTime) -> HeaderMap {
        if self.rules.drop_set_cookie {
            fields.remove(SET_COOKIE);
        }
        headers::strip_hop_by_hop(&mut fields);
        fields.remove(CONTENT_LENGTH);
        fields.remove(AGE);
        // "A recipient with a clock that receives a response message without a Date header field MUST
        // record the time it was received and append a corresponding Date header field to the
        // message's header section if it is cached or forwarded downstream." (RFC 9110 §6.6.1)
        fields.entry(DATE).or_insert_with(|| date::format(now));
        fields
    }

    /// Readers and store get the body as it arrives, from a task of its own.
    fn keep(self, term: Term, kept: Kept, arrival: Arrival, asked: Option<Asked>) -> Arrived {
        let Kept {
            head,
            variant,
            admission,
        } = kept;
        let response = arrival.response;
        let aged = response.headers().contains_key(AGE);
        let shared = term.is_shareable(arrival.received_at);
        let patience = self.patience;
        let leader = self.leader_for(response.headers());
        if admission.is_of_nothing() {
            let object = leader.begin_empty(head, term, variant, shared);
            response.into_body().discard();
            let body = Body::empty();
            return Arrived::Stored { object, body, aged };
        }
        let asked = asked.filter(|_| shared && leader.has_company());
        let resumption = asked.and_then(|asked| asked.resumption(&response));
        let laggards = Laggards {
            patience,
            resume: resumption.map(|it| Box::new(it) as Box<dyn Resume>),
        };
        let (filler, object, body) = leader.begin(admission, head, term, variant, shared, laggards);
        tokio::spawn(filler.pour(response.into_body()));
        Arrived::Stored { object, body, aged }
    }

    /// The object is stored, and its first slice flows into it and to the client.
    pub(super) fn keep_slice(self, first: First, arrival: Arrival) -> Arrived {
        let First {
            index,
            term,
            head,
            variant,
            sliced,
        } = first;
        let aged = arrival.response.headers().contains_key(AGE);
        let shared = term.is_shareable(arrival.received_at);
        let leader = self.leader_for(arrival.response.headers());
        let (slot, object, body) = leader.begin_sliced(head, term, variant, sliced, index, shared);
        tokio::spawn(slot.pour(arrival.response.into_body()));
        Arrived::Stored { object, body, aged }
    }

    /// The permit for the key that the response belongs under: that of its own URI, or, if it says
    /// the same of its queries as what is stored for an equivalent one, that URI's.
    fn leader_for(self, fields: &HeaderMap) -> Leader {
        let Some(own) = &self.own else {
            return self.leader;
        };
        let (store, word) = (Arc::clone(self.leader.store()), NoVarySearch::of(fields));
        let belongs = match &word {
            Some(word) => own.under(word) == KeyBuf::from(self.leader.key()).under(word),
            None => false,
        };
        let leader = match belongs {
            true => self.leader,
            false => self.leader.moved_to(&own.to_key()),
        };
        if let Some(word) = word {
            store.learn_equivalents(own, word, leader.key());
        }
        leader
    }

    /// A 304: the stored response lives on under the fields it brought (RFC 9111 §4.3.4).
    fn confirm(mut self, stale: &Arc<Object>, arrival: &Arrival) -> Arrived {
        let (answer, now) = (arrival.response.headers(), arrival.received_at);
        let mut merged = conditional::merge(stale.head().to_all_fields(answer.len()), answer);
        self.rule(stale.head().status(), &mut merged, arrival);
        let verdict = self.judge(stale.head().status(), &merged, arrival);
        let term = match &verdict {
            Storable::Yes(term) => *term,
            Storable::No(_) => *stale.term(),
        };
        let mut fields = self.to_store(merged, now);
        // The stored fields name us already, unless the 304 came with a Via instead of theirs.
        if answer.contains_key(VIA) {
            self.site.hop.append_via(&mut fields, Version::HTTP_11);
        }
        // The origin has just confirmed it for this request, whatever it varies by from now on.
        let variant = self.variant(&fields);
        let why_not = match (&verdict, &variant) {
            _ if self.veto().is_some() => self.veto(),
            (Storable::No(why), _) | (_, Err(why)) => Some(*why),
            _ if !self.tags.fit(&fields) => Some(WhyNot::TooManyTags),
            _ => None,
        };
        let declined = variant.as_ref().ok().cloned();
        let variant = variant.unwrap_or_else(|_| stale.variant().clone());
        let refreshed = stale.refreshed(&fields, &self.tags, term, variant);
        match (refreshed, why_not) {
            (Some(object), None) => Arrived::Confirmed {
                object: self
                    .leader
                    .land(object, Some(stale), term.is_shareable(now)),
                stored: true,
            },
            (refreshed, why) => {
                let disowned = Some(stale).filter(|_| why != Some(WhyNot::RequestNoStore));
                let lasts = why.is_none_or(WhyNot::lasts);
                self.leader.decline(lasts, declined, disowned, now);
                Arrived::Confirmed {
                    object: refreshed.map_or_else(|| Arc::clone(stale), Arc::new),
                    stored: false,
                }
            }
        }
    }

    /// Not to be stored: the followers go their own ways. An error of the origin's is no reason
    /// to forget what it said before.
    fn give_away(self, response: Response<Body>, why: WhyNot, now: SystemTime) -> Arrived {
        let speaks = speaks_of_resource(response.status());
        let about_others = !matches!(why, WhyNot::RequestNoStore | WhyNot::Authorization);
        let replaced = self.stale.as_ref().filter(|_| speaks && about_others);
        let lasts = why.lasts() && speaks;
        let variant = self.variant(response.headers()).ok();
        self.leader.decline(lasts, variant, replaced, now);
        Arrived::Private { response, why }
    }

    /// Whether the stale object is a better answer than an error of this status.
    fn has_stand_in(&self, status: StatusCode, now: SystemTime) -> bool {
        let stale = self.stale.as_ref();
        stale.is_some_and(|stale| stale.term().stands_in_for(status, now))
    }

    /// The origin answered with an error, and nobody needs to see it: the stale object stays where
    /// it is, for this client and for all who wait.
    fn stand_in(self, response: Response<Body>) -> Arrived {
        let failure = Failure {
            origin_status: Some(response.status()),
            ..Failure::new(response.status(), "origin-error")
        };
        response.into_body().discard();
        self.leader.fail(failure, true);
        Arrived::Failed(failure)
    }

    /// Nobody asked, for too many others are under way; who waits would find no place either.
    pub(in crate::pipeline) fn full(self) -> Arrived {
        self.leader.fail(concurrency::FULL, true);
        Arrived::Failed(concurrency::FULL)
    }

    /// No answer came.
    pub(super) fn fail(self, error: &origin::Error) -> Arrived {
        let mut failure = Failure::from(error);
        // What happened to this request after it was sent may be its own fault; but who can be
        // served without another try is.
        let share =
            error.phase == Phase::Connecting || self.has_stand_in(failure.status, clock::now());
        // RFC 9111 §5.2.2.2: "if a cache that has been disconnected from the origin server […] is
        // to generate an error response […], it SHOULD be a 504 (Gateway Timeout)".
        let stale = self.stale.as_ref();
        if failure.status.is_server_error() && stale.is_some_and(|it| it.term().must_revalidate()) {
            failure.status = StatusCode::GATEWAY_TIMEOUT;
        }
        self.leader.fail(failure, share);
        Arrived::Failed(failure)
    }
}

// === impl Failure ===

impl From<&origin::Error> for Failure {
    fn from(error: &origin::Error) -> Self {
        Self {
            retry_after: error.retry_after,
            ..Self::new(error.status(), error.kind.as_str())
        }
    }
}

// === impl Arrival ===

impl Arrival {
    pub(in crate::pipeline) fn is_not_modified(&self) -> bool {
        self.response.status() == StatusCode::NOT_MODIFIED
    }
}
