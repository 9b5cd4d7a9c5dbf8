//! Stories about the real binary, told from outside: bytes in, bytes out, signals and metrics.
//! Each test is named as the fact it checks. What a function does inside is tested beside it in
//! `src`; here nothing of the library is used. Those of things that go wrong are listed in
//! docs/faults.md. A comment that begins with c00013, r02135 or the like names a test of Varnish.

// A test binary exports nothing: `pub` here only means "beyond this file".
#![allow(unreachable_pub)]

mod harness;

/// One file per theme, in the order in which a newcomer would ask.
mod journeys {
    mod basic;
    mod demo;
    mod routes_and_sites;
    mod routing;
    mod rules;
    mod rules_at_work;
    mod several_files;
    mod templates;
    mod trying;

    // What is stored, for whom, and for how long.
    mod conditional;
    mod cookies;
    mod fold;
    mod forwarded_cookies;
    mod freshness;
    mod invalidation;
    mod keys;
    mod methods;
    mod modules;
    mod no_vary_search;
    mod overrides;
    mod poisoning;
    mod purge;
    mod query;
    mod range;
    mod request_directives;
    mod set_aside;
    mod slices;
    mod stale;
    mod stale_if_error;
    mod tags;
    mod unstored;
    mod vary;

    // Many clients for one page, and those that leave.
    mod coalesce;
    mod filing;
    mod laggards;
    mod leaving;

    // Clients, their requests and their connections.
    mod access;
    mod clean;
    mod error_pages;
    mod expect;
    mod forwarded;
    mod grpc;
    mod http2;
    mod http2_hostile;
    mod http2_rules;
    mod http2_streams;
    mod interim;
    mod introduced;
    mod limiting;
    mod limits;
    mod lingering;
    mod listeners_unix;
    mod logins;
    mod malformed;
    mod request_ids;
    mod requests;
    mod slow_clients;
    mod trailers;
    mod tunnels;
    mod upgrade;

    // One origin, well and ill.
    mod origin_faults;
    mod origin_http2;
    mod origin_introduced;
    mod origin_pool;
    mod origin_tls;
    mod origin_unix;
    mod origin_warm;

    // Several servers.
    mod agents;
    mod balancing;
    mod discovery;
    mod failover;
    mod failover_herds;
    mod failover_under_load;
    mod health;
    mod hedging;
    mod overload;
    mod retries;
    mod tcp;
    mod tcp_failover;

    // TLS of clients.
    mod tls;
    mod tls_certificates;
    mod tls_clients;
    mod tls_connections;
    mod tls_listeners;
    mod tls_routes;
    mod tls_sessions;

    // The operator.
    mod acme;
    mod admin;
    mod alarms;
    mod check;
    mod completions;
    mod dashboard;
    mod descriptors;
    mod explain;
    mod figures;
    mod log;
    mod reloading;
    mod reloads;
    mod reloads_listeners;
    mod servers;
    mod service_manager;
    mod shutdown;
    mod signals;
}
