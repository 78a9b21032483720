//! Ways in: the config of how we get into a service, as the readers want it.

use crate::config;
use crate::directory::services::{Access, Certificate, Client, Proof, ServiceAccount, Signing};
use crate::token::TokenSource;

pub(super) fn of<C, T>(access: &config::Access<C>, own: impl Fn(&C) -> T) -> Access<T> {
    match access {
        config::Access::Own(kept) => Access::Own(own(kept)),
        config::Access::Printed(source) => Access::Printed(match source {
            config::TokenSource::File(path) => TokenSource::File(path.clone()),
            config::TokenSource::Command(words) => TokenSource::Command(words.clone()),
        }),
    }
}

pub(super) fn client(own: &config::Client) -> Client {
    let proof = match &own.proof {
        config::ClientProof::Secret(secret) => Proof::Secret(secret.clone()),
        config::ClientProof::Certificate(certificate) => Proof::Certificate(Certificate {
            file: certificate.file.clone(),
            key_file: certificate.key_file.clone(),
            signing: match certificate.signing {
                config::Signing::Ps256 => Signing::Ps256,
                config::Signing::Rs256 => Signing::Rs256,
            },
        }),
    };
    Client {
        id: own.id.clone(),
        proof,
    }
}

pub(super) fn account(own: &config::ServiceAccount) -> ServiceAccount {
    ServiceAccount {
        key_file: own.key_file.clone(),
        subject: own.subject.clone(),
        login_url: own.login_url.clone(),
    }
}
