//! Answers to the requests of one connection, whatever the version of HTTP: the way from the server
//! into the pipeline.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use parking_lot::Mutex;

use super::Service;
use super::watch::ConnectionTimeouts;
use crate::acme::Challenges;
use crate::body::Body;
use crate::pipeline::{self, Client, Interim, Refusal, SiteHandle};
use crate::semantics::client_cert::{CLIENT_CERT, CLIENT_CERT_CHAIN};

/// What the requests of one connection have in common.
pub(super) struct Answers {
    pub(super) service: Arc<Service>,
    pub(super) client: Client,
    /// The site in force, as far as this connection has noticed.
    site: Mutex<SiteHandle>,
}

// === impl Answers ===

impl Answers {
    pub(super) fn new(service: Arc<Service>, client: Client, site: SiteHandle) -> Self {
        Self {
            service,
            client,
            site: Mutex::new(site),
        }
    }

    /// The site in force at this moment.
    pub(super) fn site(&self) -> SiteHandle {
        let mut site = self.site.lock();
        site.renew(&self.service.shared.current);
        site.clone()
    }

    pub(super) fn timeouts(&self) -> ConnectionTimeouts {
        ConnectionTimeouts::new(self.site().server())
    }

    /// One request through the pipeline, if it is not refused before.
    pub(super) async fn answer(
        &self,
        site: SiteHandle,
        request: Request<Body>,
        refusal: Option<Refusal>,
        interim: Option<Interim>,
    ) -> Response<Body> {
        let request = self.name_client(request);
        let client = self.client.clone();
        if let Some(refusal) = refusal {
            return pipeline::refuse(site, client, request, refusal);
        }
        match self.proof(request.method(), request.uri().path()).await {
            Some(proof) => pipeline::tell(site, client, request, proof),
            None => pipeline::serve(site, client, request, interim).await,
        }
    }

    /// Says which certificate the client has shown, and lets nobody else say so: what a client writes
    /// into these fields must never get through (RFC 9440 §4).
    fn name_client(&self, mut request: Request<Body>) -> Request<Body> {
        let fields = request.headers_mut();
        fields.remove(CLIENT_CERT);
        fields.remove(CLIENT_CERT_CHAIN);
        let session = self.client.session.as_ref();
        if let Some(certificate) = session.and_then(|it| it.certificate.as_ref()) {
            fields.insert(CLIENT_CERT, certificate.clone());
        }
        request
    }

    /// What a CA is to see under this path, before all that routes say of it (RFC 8555 §8.3).
    async fn proof(&self, method: &Method, path: &str) -> Option<Bytes> {
        let is_asked = matches!(*method, Method::GET | Method::HEAD);
        if !is_asked || !Challenges::is_path(path) {
            return None;
        }
        self.service.shared.hatch.challenges.page(path).await
    }
}
