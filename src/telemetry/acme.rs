//! Figures of certificates that CAs are asked for: orders by how they ended, and what is next.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::exposition::Family;

/// All that is told of it.
#[derive(Debug, Default)]
pub struct Acme {
    /// By CA and result.
    orders: Mutex<BTreeMap<(String, &'static str), u64>>,
    names: Mutex<BTreeMap<String, AcmeStatus>>,
}

/// How it stands with the certificate of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcmeStatus {
    /// When the one that is served expires; `None` where there is none yet.
    pub not_after: Option<SystemTime>,
    /// The CA that it is from.
    pub issuer: Option<String>,
    /// When a CA is asked next.
    pub next: Option<SystemTime>,
    /// Tries that failed since the last that did not.
    pub failures: u32,
    /// Why the last failed.
    pub trouble: Option<String>,
}

// === impl Acme ===

impl Acme {
    /// Counts an order.
    pub fn ordered(&self, authority: &str, result: &'static str) {
        *self
            .orders
            .lock()
            .entry((authority.to_owned(), result))
            .or_default() += 1;
    }

    /// Has this be told of a name from now on.
    pub fn set(&self, name: &str, status: AcmeStatus) {
        self.names.lock().insert(name.to_owned(), status);
    }

    /// Has nothing be told of a name.
    pub fn remove(&self, name: &str) {
        self.names.lock().remove(name);
    }

    /// How it stands with each name.
    pub fn names(&self) -> Vec<(String, AcmeStatus)> {
        let names = self.names.lock();
        names
            .iter()
            .map(|(name, it)| (name.clone(), it.clone()))
            .collect()
    }

    /// All figures, for a scrape.
    pub fn families(&self) -> Vec<Family> {
        let mut orders = Family::counter(
            "copal_acme_orders",
            "Certificates that CAs were asked for, by CA and result.",
        );
        for ((authority, result), count) in &*self.orders.lock() {
            let labels = vec![("ca", authority.clone()), ("result", (*result).to_owned())];
            orders = orders.labelled(labels, *count as f64);
        }
        let mut next = Family::gauge(
            "copal_acme_next_order_seconds",
            "When a CA is asked next for a certificate of each name, in Unix time.",
        );
        let mut failures = Family::gauge(
            "copal_acme_failures",
            "Orders of each name that failed since the last that did not.",
        );
        for (name, status) in &*self.names.lock() {
            let labels = vec![("name", name.clone())];
            failures = failures.labelled(labels.clone(), status.failures.into());
            if let Some(at) = status.next {
                let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
                next = next.labelled(labels, at.as_secs_f64());
            }
        }
        vec![orders, next, failures]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_in_the_docs() {
        let docs = include_str!("../../docs/admin.md");
        for family in Acme::default().families() {
            assert!(docs.contains(family.name), "{}", family.name);
        }
    }
}
