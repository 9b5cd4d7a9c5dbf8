//! The verdicts: one on a response's arrival, the others on every hit.

use std::hint::black_box;

use copal::semantics::conditional::{Validators, evaluate};
use copal::semantics::freshness::Term;
use copal::semantics::policy::{Answered, Asked, Rules, judge};
use copal::semantics::vary::{Selecting, Variant, Vary};
use criterion::Criterion;
use http::{Method, StatusCode};

use super::messages::{LIFETIME, answered_at, fields, request, response};

pub(crate) fn run(criterion: &mut Criterion) {
    on_arrival(criterion);
    on_a_hit(criterion);
    preconditions(criterion);
}

fn on_arrival(criterion: &mut Criterion) {
    let (request, response) = (request(), response());
    let asked = Asked {
        method: &Method::GET,
        headers: &request,
    };
    let answered = Answered {
        status: StatusCode::OK,
        headers: &response,
        requested_at: answered_at(),
        received_at: answered_at(),
    };
    criterion.bench_function("freshness/judge", |bencher| {
        bencher.iter(|| judge(black_box(&asked), black_box(&answered), &Rules::default()));
    });
}

fn on_a_hit(criterion: &mut Criterion) {
    let term = Term::new(answered_at(), LIFETIME);
    let now = answered_at() + LIFETIME / 2;
    criterion.bench_function("freshness/term", |bencher| {
        bencher.iter(|| black_box(&term).freshness(black_box(now)));
    });
    let request = request();
    let Vary::Fields(names) = Vary::of(&response()) else {
        panic!("the response names the fields it varies by");
    };
    let variant = Variant::new(&names, &Selecting::by(&request));
    criterion.bench_function("freshness/variant", |bencher| {
        bencher.iter(|| black_box(&variant).matches(black_box(&Selecting::by(&request))));
    });
}

fn preconditions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("conditional");
    let response = response();
    let stored = Validators::of(&response);
    for (name, line) in [
        ("none", None),
        (
            "etag",
            Some(("if-none-match", "\"other\", \"6560f1c0-400\"")),
        ),
        (
            "date",
            Some(("if-modified-since", "Sat, 21 Nov 2026 12:00:00 GMT")),
        ),
    ] {
        let mut request = request();
        request.extend(fields(line.as_slice()));
        group.bench_function(name, |bencher| {
            bencher.iter(|| evaluate(&Method::GET, black_box(&request), black_box(&stored)));
        });
    }
    group.finish();
}
