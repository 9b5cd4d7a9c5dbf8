//! Stories about the real binary, told from outside: bytes in, bytes out, signals and metrics.
//! Each test is named as the fact it checks. What a function does inside is tested beside it in
//! `src`; here nothing of the library is used.

// A test binary exports nothing: `pub` here only means "beyond this file".
#![allow(unreachable_pub)]

mod harness;

/// One file per theme, in the order in which a newcomer would ask.
mod journeys {
    mod basic;
    mod routing;

    mod conditional;
    mod fold;
    mod freshness;
    mod invalidation;
    mod keys;
    mod methods;
    mod no_vary_search;
    mod overrides;
    mod purge;
    mod query;
    mod range;
    mod request_directives;
    mod slices;
    mod stale;
    mod stale_if_error;
    mod unstored;
    mod vary;

    mod coalesce;
    mod leaving;
    mod scenarios;

    mod agents;
    mod balancing;
    mod discovery;
    mod expect;
    mod fault_herds;
    mod fault_load;
    mod fault_servers;
    mod fault_tcp;
    mod forwarded;
    mod grpc;
    mod health;
    mod hedging;
    mod interim;
    mod limiting;
    mod limits;
    mod malformed;
    mod origin_faults;
    mod origin_http2;
    mod origin_introduced;
    mod origin_pool;
    mod origin_tls;
    mod origin_unix;
    mod origin_warm;
    mod overload;
    mod reloads;
    mod requests;
    mod retries;
    mod tcp;
    mod trailers;

    mod admin;
    mod explain;
    mod log;
    mod servers;
    mod shutdown;

    mod regressions;
    mod regressions_caching;
    mod regressions_http;
}
