//! Order of one certificate: what is asked, proved, signed and fetched (RFC 8555 §7.1).

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeType, Error, Identifier,
    NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};

use super::challenges::{Challenges, Shown};
use super::trouble::{Kind, Trouble, in_words};
use crate::config::{AcmeChallenge, AcmeName};

/// How long a CA may take to look at a challenge, and to sign.
const POLL: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .backoff(1.5)
    .timeout(Duration::from_secs(90));

/// What is asked for.
pub(super) struct Wanted<'a> {
    pub(super) name: &'a AcmeName,
    /// How it is proved, if the CA offers it; else whatever else of ours it offers.
    pub(super) challenges: &'a [AcmeChallenge],
    pub(super) profile: Option<&'a str>,
    /// The certificate that it is to take the place of (RFC 9773 §5).
    pub(super) replaces: Option<CertificateIdentifier<'a>>,
}

/// A certificate and its key, in PEM.
pub(super) struct Issued {
    pub(super) chain: String,
    pub(super) key: String,
}

// === impl Wanted ===

impl Wanted<'_> {
    /// Gets it.
    pub(super) async fn order(
        &self,
        account: &Account,
        challenges: &Challenges,
    ) -> Result<Issued, Trouble> {
        let identifiers = [match self.name {
            AcmeName::Dns(name) => Identifier::Dns(name.to_string()),
            AcmeName::Ip(address) => Identifier::Ip(*address),
        }];
        let mut order = self.new_order(account, &identifiers).await?;
        let issued = self.fulfil(&mut order, challenges).await;
        // Whoever may order has an account: what comes after is not about it.
        issued.map_err(|trouble| trouble.unless_of_account())
    }

    async fn fulfil(&self, order: &mut Order, challenges: &Challenges) -> Result<Issued, Trouble> {
        let shown = self.prove(order, challenges).await?;
        if order.state().status != OrderStatus::Ready {
            let polled = order.poll_ready(&POLL).await;
            drop(shown);
            match polled {
                Ok(OrderStatus::Ready) => {}
                Ok(_) | Err(Error::Api(_)) => return Err(why_not(order).await),
                Err(error) => return Err(error.into()),
            }
        }
        self.sign(order).await
    }

    async fn new_order(&self, account: &Account, names: &[Identifier]) -> Result<Order, Trouble> {
        let plain = match self.profile {
            Some(profile) => NewOrder::new(names).profile(profile),
            None => NewOrder::new(names),
        };
        let Some(replaces) = self.replaces.clone() else {
            return Ok(account.new_order(&plain).await?);
        };
        let with = match self.profile {
            Some(profile) => NewOrder::new(names).profile(profile),
            None => NewOrder::new(names),
        };
        match account.new_order(&with.replaces(replaces)).await {
            Ok(order) => Ok(order),
            // RFC 9773 §5: "alreadyReplaced", and a CA that has no ARI or has forgotten the certificate.
            Err(Error::Api(problem)) if is_about_replacing(problem.r#type.as_deref()) => {
                Ok(account.new_order(&plain).await?)
            }
            Err(Error::Unsupported(_) | Error::Other(_)) => Ok(account.new_order(&plain).await?),
            Err(error) => Err(error.into()),
        }
    }

    /// Shows what the CA is to see, and tells it to look.
    async fn prove(
        &self,
        order: &mut Order,
        challenges: &Challenges,
    ) -> Result<Vec<Shown>, Trouble> {
        let mut shown = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let offered = |kind: &&AcmeChallenge| {
                authorization
                    .challenges
                    .iter()
                    .any(|it| it.r#type == of_library(**kind))
            };
            let Some(kind) = self.challenges.iter().find(offered).copied() else {
                let offers: Vec<_> = authorization
                    .challenges
                    .iter()
                    .map(|it| written(&it.r#type))
                    .collect();
                let text = format!("the CA wants it proved by {}", offers.join(" or "));
                return Err(Trouble::new(Kind::Refused, text));
            };
            let Some(mut challenge) = authorization.challenge(of_library(kind)) else {
                continue;
            };
            let key = challenge.key_authorization();
            shown.push(
                challenges
                    .show(kind, self.name, &challenge.token, key.as_str())
                    .await,
            );
            challenge.set_ready().await?;
        }
        Ok(shown)
    }

    /// Has a new key signed: "A CSR's public key" is never an account's (RFC 8555 §11.1).
    async fn sign(&self, order: &mut Order) -> Result<Issued, Trouble> {
        let mut params =
            CertificateParams::new(vec![self.name.to_string()]).map_err(Trouble::local)?;
        params.distinguished_name = DistinguishedName::new();
        let key = KeyPair::generate().map_err(Trouble::local)?;
        let request = params.serialize_request(&key).map_err(Trouble::local)?;
        order.finalize_csr(request.der()).await?;
        let chain = order.poll_certificate(&POLL).await?;
        Ok(Issued {
            chain,
            key: key.serialize_pem(),
        })
    }
}

fn is_about_replacing(urn: Option<&str>) -> bool {
    let name = urn.and_then(|it| it.rsplit(':').next());
    matches!(name, Some("alreadyReplaced" | "malformed" | "notFound"))
}

fn of_library(kind: AcmeChallenge) -> ChallengeType {
    match kind {
        AcmeChallenge::Http01 => ChallengeType::Http01,
        AcmeChallenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
    }
}

/// As the RFCs write it.
fn written(kind: &ChallengeType) -> &str {
    match kind {
        ChallengeType::Http01 => "http-01",
        ChallengeType::TlsAlpn01 => "tls-alpn-01",
        ChallengeType::Dns01 => "dns-01",
        ChallengeType::Unknown(name) => name,
        _ => "another challenge",
    }
}

/// What the CA has to say of an order that it has given up.
async fn why_not(order: &mut Order) -> Trouble {
    let mut authorizations = order.authorizations();
    let mut text = "the CA could not see that the name is ours".to_owned();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        // The reason has come since it was read.
        let Ok(state) = authorization.refresh().await else {
            break;
        };
        for challenge in &state.challenges {
            if let Some(problem) = &challenge.error {
                let kind = written(&challenge.r#type);
                text += &format!("; asked by {kind}: {}", in_words(problem));
            }
        }
    }
    Trouble::new(Kind::Challenge, text)
}
