//! Notes on keys of origins and of the server that something else in the file leaves without effect.

use super::super::origin::FOUND_DEFAULT;
use super::Notebook;
use crate::config::{Balance, Config, HttpVersion, Origin, RequestsMax, Resolve};

pub(super) fn look(config: &Config, book: &mut Notebook) {
    let server = &config.server;
    if server.connections_per_client_max > server.connections_max {
        let text = "is more than `connections_max`, so that no client ever reaches it; lower it";
        book.at("server.connections_per_client_max", text);
    }
    for origin in config.origins.values() {
        let mut keys = Keys { origin, book };
        keys.of_a_lone_server();
        keys.of_the_choice();
        keys.of_connections();
        keys.of_tries();
    }
}

/// The keys of one origin.
struct Keys<'a, 'b> {
    origin: &'a Origin,
    book: &'a mut Notebook<'b>,
}

// === impl Keys ===

impl Keys<'_, '_> {
    /// Notes something about a key if it is written.
    fn at(&mut self, key: &str, text: &str) {
        let path = format!("origins.{}.{key}", self.origin.name);
        if self.book.is_written(&path) {
            self.book.at(&path, text);
        }
    }

    fn of_a_lone_server(&mut self) {
        let is_alone = matches!(&self.origin.servers[..], [it] if it.resolve == Resolve::One);
        if !is_alone {
            return;
        }
        self.at(
            "hedge",
            "asks another server as well, of which there is none; add a server, or leave it out",
        );
        self.at(
            "sticky",
            "brings clients back to one of several servers, and there is one alone; add a server, \
             or leave it out",
        );
    }

    fn of_the_choice(&mut self) {
        let by_dns = |it: &Resolve| *it != Resolve::One;
        // The example file has every key with its default.
        let is_chosen = self.origin.servers_max != FOUND_DEFAULT;
        if is_chosen && !self.origin.servers.iter().any(|it| by_dns(&it.resolve)) {
            self.at(
                "servers_max",
                "counts servers that DNS names, and all are written here; leave it out, or write \
                 `resolve = \"each\"` for a server",
            );
        }
        if self.origin.balance != Balance::First {
            return;
        }
        for at in 0..self.origin.servers.len() {
            self.at(
                &format!("servers[{at}].weight"),
                "has no effect with `balance = \"first\"`; leave it out, or choose another balance",
            );
        }
    }

    fn of_connections(&mut self) {
        let origin = self.origin;
        if origin.pending_max == 0 {
            let text =
                "has no effect beside `pending_max = 0`, by which nobody waits; leave it out";
            self.at("pending_timeout", text);
        }
        if origin.idle_max > origin.connections_max {
            let text =
                "is more than `connections_max`, beyond which there is none to keep; lower it";
            self.at("idle_max", text);
        }
        let RequestsMax::Fixed(requests_max) = origin.requests_max else {
            return;
        };
        let is_one_each = origin.wire.version == HttpVersion::Http1;
        if is_one_each && requests_max as usize > origin.connections_max {
            let text = "is more than `connections_max`, which HTTP/1.1 needs one of for each \
                        request; raise that";
            self.at("requests_max", text);
        }
    }

    fn of_tries(&mut self) {
        if self.origin.retry.tries == 1 {
            for key in [
                "retry.on",
                "retry.budget",
                "retry.backoff",
                "retry.body_max",
            ] {
                let text = "has no effect beside `tries = 1`, by which nothing is sent again; \
                            leave it out, or raise that";
                self.at(key, text);
            }
        }
        if !self.origin.ejection.enabled {
            for key in ["consecutive", "base", "max", "share_max", "success_rate"] {
                let text = "has no effect beside `enabled = false`; leave one of the two out";
                self.at(&format!("ejection.{key}"), text);
            }
        }
    }
}
