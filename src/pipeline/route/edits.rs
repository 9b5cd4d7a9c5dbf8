//! Edits of the fields of a message, compiled: what is removed, set, filled in and added.

use http::header::{COOKIE, USER_AGENT, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::{self, Template, Value};
use crate::semantics::vary::Vary;

/// Fields to remove, to set and to add.
#[derive(Debug)]
pub(in crate::pipeline) struct Edits {
    set: Box<[(HeaderName, HeaderValue)]>,
    filled: Box<[(HeaderName, Template)]>,
    add: Box<[(HeaderName, Template)]>,
    remove: Box<[HeaderName]>,
}

// === impl Edits ===

impl Edits {
    pub(super) fn new(config: &config::Edits) -> Self {
        Self {
            set: config.set.as_slice().into(),
            filled: config.filled.as_slice().into(),
            add: config.add.as_slice().into(),
            remove: config.remove.as_slice().into(),
        }
    }

    /// Whether there is nothing to do.
    pub(in crate::pipeline) fn is_empty(&self) -> bool {
        self.set.is_empty()
            && self.filled.is_empty()
            && self.add.is_empty()
            && self.remove.is_empty()
    }

    /// Removes, sets, then adds; `value` fills in by the fields as they are by then. A field for which there is no value is removed: what somebody else has
    /// said in it is not to stand for ours.
    pub(in crate::pipeline) fn apply(
        &self,
        fields: &mut HeaderMap,
        value: impl Fn(&Template, &HeaderMap) -> Option<HeaderValue>,
    ) {
        self.apply_fixed(fields);
        for (name, template) in &self.filled {
            match value(template, fields) {
                Some(value) => fields.insert(name.clone(), value),
                None => fields.remove(name),
            };
        }
        for (name, template) in &self.add {
            if let Some(value) = value(template, fields) {
                fields.append(name.clone(), value);
            }
        }
    }

    /// The same without what is filled in or added.
    pub(in crate::pipeline) fn apply_fixed(&self, fields: &mut HeaderMap) {
        for name in &self.remove {
            fields.remove(name);
        }
        for (name, value) in &self.set {
            fields.insert(name.clone(), value.clone());
        }
    }

    /// Whether this field is set, added or removed.
    pub(in crate::pipeline) fn touch(&self, name: &HeaderName) -> bool {
        self.fill(name) || self.set.iter().any(|(set, _)| set == name) || self.remove.contains(name)
    }

    /// Whether this field is filled in, so that its value is not the client's and not in the key.
    pub(in crate::pipeline) fn fill(&self, name: &HeaderName) -> bool {
        self.templates().any(|it| it.0 == *name)
    }

    /// Whether this field is filled in for one client or one request alone.
    pub(in crate::pipeline) fn fill_for_one(&self, name: &HeaderName) -> bool {
        let mut own = self.templates().filter(|it| it.0 == *name);
        own.any(|it| it.1.values().any(is_personal))
    }

    /// Takes off what was filled in for one client or one request alone.
    pub(in crate::pipeline) fn forget_client(&self, fields: &mut HeaderMap) {
        for (name, template) in self.templates() {
            if template.values().any(is_personal) {
                fields.remove(name);
            }
        }
    }

    /// Tells caches behind us which request fields a response depends on that was filled in with
    /// them (RFC 9110 §12.5.5).
    pub(in crate::pipeline) fn declare(&self, fields: &mut HeaderMap) {
        for (_, template) in self.templates() {
            declare(template, fields);
        }
    }

    fn templates(&self) -> impl Iterator<Item = &(HeaderName, Template)> {
        self.filled.iter().chain(&self.add)
    }
}

fn is_personal(value: &Value) -> bool {
    matches!(
        value.whole(),
        Value::Client | Value::ClientPort | Value::RequestId
    )
}

/// The same for one template.
pub(in crate::pipeline) fn declare(template: &Template, fields: &mut HeaderMap) {
    for value in template.values() {
        let name = match value.whole() {
            Value::Header(name) => name.clone(),
            Value::Cookie(_) => COOKIE,
            Value::Device => USER_AGENT,
            _ => continue,
        };
        let is_told = match Vary::of(fields) {
            Vary::Fields(names) => names.contains(&name),
            Vary::Star => true,
        };
        if !is_told {
            fields.append(VARY, HeaderValue::from(name));
        }
    }
}
