//! Slices of large responses: the request for the one that the client waits for first, and later, by
//! a template of that request, for those that readers miss.
//!
//! Part of the errand, for routes that slice. An answer that cannot be kept in slices is no loss:
//! the errand asks once more, for what the client itself asked for. The slices' bytes, who waits
//! for them and when they go is the store's business.

use std::sync::{Arc, Weak};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONTENT_RANGE, HOST, IF_MATCH, IF_RANGE, RANGE, REFERER};
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Uri, Version, request};
use tracing::debug;

use crate::body::Body;
use crate::clock;
use crate::origin::{Answer, Pool, Timeouts};
use crate::pipeline::route::Route;
use crate::pipeline::route::caching::OnRange;
use crate::pipeline::route::rules::Rule;
use crate::pipeline::ruled::ResponseRules;
use crate::pipeline::site::Site;
use crate::pipeline::wanted::Wanted;
use crate::semantics::combine;
use crate::semantics::conditional;
use crate::semantics::forwarded::{FORWARDED, X_FORWARDED_FOR};
use crate::semantics::freshness::Term;
use crate::semantics::headers;
use crate::semantics::policy::{Answered, Asked, Rules, judge};
use crate::semantics::range::{self, ByteRange};
use crate::semantics::storable::Storable;
use crate::semantics::trace_context::TRACEPARENT;
use crate::semantics::vary::Variant;
use crate::store::{Head, Object, Sliced, Slot, Source, TooLong, Writer};

/// Where `object_max` is less than this, slices would be so small that nothing is sliced.
const SLICE_BYTES_MIN: u64 = 64 * 1024;

/// The slice that an errand asks for.
pub(super) struct Slicing {
    slice_bytes: u64,
    pub(super) index: u64,
    /// The client's own Range and If-Range.
    own: HeaderMap,
    site: Weak<Site>,
    route: Arc<Route>,
    /// The rules that are true of the request and edit its fields.
    ruled: Vec<Arc<Rule>>,
    /// The field that names the client's request.
    request_id: Option<HeaderName>,
    pub(super) first: Option<First>,
}

/// A slice that has come and will be stored, and the object of which it is the first.
pub(super) struct First {
    pub(super) index: u64,
    pub(super) term: Term,
    pub(super) head: Head,
    pub(super) variant: Variant,
    pub(super) sliced: Sliced,
}

/// What answers are judged by: the route's rules of caching, and those that edit them before.
type JudgedBy<'a> = (&'a Arc<Rules>, Option<&'a Arc<ResponseRules>>);

/// What the origin is asked for the other slices: the request for the first one, without what was
/// said of its client alone. It holds a pool and rules, and of the site that they are of only knows
/// whether it is in force.
struct Template {
    site: Weak<Site>,
    pool: Arc<Pool>,
    rules: Arc<Rules>,
    ruled: Option<Arc<ResponseRules>>,
    target: Uri,
    timeouts: Option<Timeouts>,
    /// Packed like the head of a stored response, of which it is as good as a part.
    fields: Head,
}

/// A slice that a reader misses, on its way.
struct SliceFetch {
    site: Weak<Site>,
    pool: Arc<Pool>,
    rules: Arc<Rules>,
    ruled: Option<Arc<ResponseRules>>,
}

// === impl Slicing ===

impl Slicing {
    /// Makes `request`, which is without conditions of the client's own, one for a slice, if its
    /// route slices. The stale object that it is to revalidate, if any, tells whether that is of
    /// use: one that is stored whole came whole.
    pub(super) fn begin(
        wanted: &Wanted,
        stale: Option<&Object>,
        request: &mut HeaderMap,
    ) -> Option<Box<Self>> {
        let OnRange::Slice { slice_bytes } = wanted.caching().on_range else {
            return None;
        };
        let slice_bytes = slice_bytes.min(wanted.store().object_bytes_max());
        if slice_bytes < SLICE_BYTES_MIN || stale.is_some_and(|stale| !stale.is_sliced()) {
            return None;
        }
        let own = ranges(&wanted.exchange.request);
        let slicing = Self {
            slice_bytes,
            index: range::begins_at(&own) / slice_bytes,
            own,
            site: Arc::downgrade(wanted.exchange.entry.site.site()),
            route: Arc::clone(wanted.route()),
            ruled: wanted.editors(),
            request_id: wanted.exchange.site().request_ids.field().cloned(),
            first: None,
        };
        if is_known_to_be_useless(wanted) {
            slicing.ask_as_client(request);
            return None;
        }
        range::ask(request, slicing.range());
        Some(Box::new(slicing))
    }

    /// What of an answer is the first slice, if it is one.
    pub(super) fn into_first(self) -> Option<First> {
        self.first
    }

    /// What is known of an object whose first slice has come by `request`, and how the others are
    /// asked for.
    pub(super) fn sliced(
        &self,
        request: &Request<Bytes>,
        judged_by: JudgedBy<'_>,
        complete: u64,
        version: combine::Version,
    ) -> Result<Sliced, TooLong> {
        Ok(Sliced {
            complete,
            slice_bytes: self.slice_bytes,
            version,
            source: Box::new(self.template(request, judged_by)?),
        })
    }

    fn template(
        &self,
        request: &Request<Bytes>,
        (rules, ruled): JudgedBy<'_>,
    ) -> Result<Template, TooLong> {
        let mut fields = request.headers().clone();
        conditional::strip(&mut fields);
        fields.remove(X_FORWARDED_FOR);
        fields.remove(FORWARDED);
        fields.remove(REFERER);
        // The request that is asked for by later readers is not this one.
        fields.remove(TRACEPARENT);
        fields.remove("tracestate");
        if let Some(name) = &self.request_id {
            fields.remove(name);
        }
        let edits = &self.route.request_fields;
        edits.apply_fixed(&mut fields);
        edits.forget_client(&mut fields);
        for edits in self.ruled.iter().map(|it| &it.request.fields) {
            edits.apply_fixed(&mut fields);
            edits.forget_client(&mut fields);
        }
        Ok(Template {
            timeouts: self.route.timeouts,
            site: Weak::clone(&self.site),
            pool: Arc::clone(&self.route.pool),
            rules: Arc::clone(rules),
            ruled: ruled.cloned(),
            target: request.uri().clone(),
            fields: Head::pack(StatusCode::OK, &fields)?,
        })
    }

    pub(super) fn range(&self) -> ByteRange {
        let first = self.index.saturating_mul(self.slice_bytes);
        let last = first.saturating_add(self.slice_bytes - 1);
        ByteRange { first, last }
    }

    /// Asks for what the client asked for: the whole, or a range that is then its alone.
    pub(super) fn ask_as_client(&self, request: &mut HeaderMap) {
        request.remove(RANGE);
        request.extend(self.own.clone());
    }
}

// === impl Template ===

impl Template {
    /// The request for one slice. If-Match spares the transfer of a part of something else.
    fn request(&self, slot: &Slot) -> Request<Body> {
        let mut fields = self.fields.to_fields(2);
        range::ask(&mut fields, slot.range());
        if let Some(tag) = slot.version().if_match() {
            fields.insert(IF_MATCH, tag);
        }
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = self.target.clone();
        *request.headers_mut() = fields;
        *request.version_mut() = Version::HTTP_11;
        if let Some(timeouts) = self.timeouts {
            request.extensions_mut().insert(timeouts);
        }
        request
    }
}

impl Source for Template {
    fn bring(&self, slot: Slot) {
        let fetch = SliceFetch {
            site: Weak::clone(&self.site),
            pool: Arc::clone(&self.pool),
            rules: Arc::clone(&self.rules),
            ruled: self.ruled.clone(),
        };
        tokio::spawn(fetch.run(self.request(&slot), slot));
    }

    fn weight_bytes(&self) -> usize {
        let target = self
            .target
            .path_and_query()
            .map_or(0, |it| it.as_str().len());
        size_of::<Self>() + self.fields.weight_bytes() + target
    }
}

// === impl SliceFetch ===

impl SliceFetch {
    /// An error of the moment is the reader's alone; an answer of another version is the end of the
    /// object.
    async fn run(self, request: Request<Body>, slot: Slot) {
        let requested_at = clock::now();
        let (host, target) = (request.headers().get(HOST).cloned(), request.uri().clone());
        let answer = tokio::select! {
            biased;
            answer = self.pool.send(request, None, None) => answer,
            () = slot.unwanted() => return,
        };
        let origin = &**self.pool.name();
        match answer {
            Ok(Answer { response, .. }) if self.fits(&slot, &response, requested_at) => {
                slot.pour(response.into_body()).await;
            }
            Ok(Answer { response, .. }) => {
                let status = response.status();
                debug!(origin, %status, "no slice");
                self.miss(slot, is_of_the_moment(status));
            }
            Err(error) => {
                let host = host.as_ref().and_then(|it| it.to_str().ok());
                let url = format!("//{}{target}", host.unwrap_or_default());
                self.pool.tell_failure(&url, &error);
                self.miss(slot, true);
            }
        }
    }

    /// Since a reload the origin may be somewhere else: what it was asked by will not mend itself.
    fn miss(&self, slot: Slot, of_the_moment: bool) {
        let is_in_force = self.site.strong_count() > 0;
        if !(of_the_moment && is_in_force) {
            slot.outdate();
        }
    }

    /// Whether an answer is exactly the slice, of exactly the stored version, and may be stored.
    fn fits(&self, slot: &Slot, response: &Response<Body>, requested_at: SystemTime) -> bool {
        let (range, complete) = (slot.range(), slot.complete_bytes());
        let (status, fields) = (response.status(), response.headers());
        if status != StatusCode::PARTIAL_CONTENT
            || !slot.version().has_part(range, complete, fields)
        {
            return false;
        }
        let mut fields = fields.clone();
        if let Some(ruled) = &self.ruled {
            ruled.apply(StatusCode::OK, &mut fields, &self.rules, &|_| None);
        }
        let asked = Asked {
            method: &Method::GET,
            headers: &HeaderMap::new(),
        };
        let answered = Answered {
            status: StatusCode::OK,
            headers: &fields,
            requested_at,
            received_at: clock::now(),
        };
        matches!(judge(&asked, &answered, &self.rules), Storable::Yes(_))
    }
}

/// What the client said of ranges. RFC 9110 §14.2: "GET is the only method for which range handling
/// is defined."
fn ranges(request: &request::Parts) -> HeaderMap {
    let mut ranges = HeaderMap::new();
    if request.method == Method::GET {
        for name in [RANGE, IF_RANGE] {
            for value in request.headers.get_all(&name) {
                ranges.append(&name, value.clone());
            }
        }
    }
    ranges
}

/// Whether nothing will be stored of the answer, as far as one can tell; nor are anybody's
/// credentials to fetch slices for others.
fn is_known_to_be_useless(wanted: &Wanted) -> bool {
    let exchange = &wanted.exchange;
    headers::has_credentials(&exchange.request.headers)
        || (wanted.store()).is_uncacheable(wanted.key(), &wanted.selecting(), exchange.now)
}

/// Gives a part the head of the whole, which is stored.
///
/// RFC 9110 §15.3.7: without If-Range in the request, a 206 has "all of the representation header
/// fields that would have been sent in a 200 (OK) response".
pub(super) fn declare_whole(response: &mut Response<Body>) {
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().remove(CONTENT_RANGE);
}

/// Whether a status says nothing of the resource: it may be as before with the next request.
pub(super) fn is_of_the_moment(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 421 | 425 | 429)
}
