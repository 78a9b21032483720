//! How we get into an identity service: with what it knows us by, or with a token that a program of the operator's prints.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::{Serialize, Serializer};

use super::endpoint;
use crate::config::hashed;
use crate::config::secret::{SecretKeys, TOKEN, secret};
use crate::config::section::{Read, Section};
use crate::config::sign_in::{TokenSource, command};
use crate::config::values::{address, choice, line, path};
use crate::domain::EmailAddress;

/// How we get in.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Access<T> {
    /// By ourselves.
    Own(T),
    /// With an access token that a program prints.
    Printed(TokenSource),
}

/// An application that signs in by itself.
#[derive(Debug, Clone, Serialize)]
pub struct Client {
    /// As the service knows it.
    pub id: String,
    /// What proves it.
    pub proof: ClientProof,
}

/// What proves an application.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientProof {
    /// A secret of its own.
    Secret(#[serde(skip)] SecretString),
    /// A certificate that the service knows.
    Certificate(Certificate),
}

/// A certificate and its key. Read when they are needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// In PEM.
    #[serde(serialize_with = "hashed::path")]
    pub file: PathBuf,
    /// Its private key, in PEM.
    #[serde(serialize_with = "hashed::path")]
    pub key_file: PathBuf,
    /// How it signs.
    pub signing: Signing,
}

/// How a certificate's key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Signing {
    /// RSA with PSS padding.
    Ps256,
    /// RSA with the older padding.
    Rs256,
}

/// An account of a program, with a key of its own.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceAccount {
    /// The key, as it was downloaded. Read when it is needed.
    #[serde(serialize_with = "hashed::path")]
    pub key_file: PathBuf,
    /// The administrator on whose behalf it reads.
    #[serde(serialize_with = "hashed::address")]
    pub subject: EmailAddress,
    /// Where tokens are given out, in place of what the key says.
    pub login_url: Option<String>,
}

const SIGNINGS: &[(&str, Signing)] = &[("PS256", Signing::Ps256), ("RS256", Signing::Rs256)];

const CLIENT: SecretKeys = SecretKeys {
    inline: "client_secret",
    env: "client_secret_env",
    file: "client_secret_file",
};

/// For the config's hash.
pub(super) fn secret_is_skipped<S: Serializer>(
    access: &Access<SecretString>,
    out: S,
) -> Result<S::Ok, S::Error> {
    match access {
        Access::Own(_) => out.serialize_none(),
        Access::Printed(source) => source.serialize(out),
    }
}

/// A client by its secret.
pub(super) fn client(own: &Section<'_>) -> Read<Access<Client>> {
    let id = own.optional("client_id", line);
    let secret = secret(own, &CLIENT);
    let printed = printed(own)?;
    let secret = secret?;
    if let Some(source) = printed {
        return match secret {
            Some(_) => Err(twice(own, "the client's secret")),
            None => id.map(|_| Access::Printed(source)),
        };
    }
    let proof = secret.map(ClientProof::Secret);
    of_client(own, id, proof)
}

/// A client by its secret or its certificate.
pub(in crate::config) fn client_or_certificate(own: &Section<'_>) -> Read<Access<Client>> {
    let certificate = certificate(own);
    let id = own.optional("client_id", line);
    let secret = secret(own, &CLIENT);
    let printed = printed(own);
    let proof = match (secret?, certificate?) {
        (Some(_), Some(_)) => {
            return Err(own.wrong(
                "certificate_file",
                "the client's secret is there too; keep one of them",
            ));
        }
        (secret, certificate) => secret
            .map(ClientProof::Secret)
            .or(certificate.map(ClientProof::Certificate)),
    };
    match (printed?, proof) {
        (Some(_), Some(_)) => Err(twice(own, "the client's secret or certificate")),
        (Some(source), None) => id.map(|_| Access::Printed(source)),
        (None, proof) => of_client(own, id, proof),
    }
}

fn of_client(
    own: &Section<'_>,
    id: Read<Option<String>>,
    proof: Option<ClientProof>,
) -> Read<Access<Client>> {
    let id = id.and_then(|id| id.ok_or_else(|| own.missing("client_id", "\"division-bell\"")));
    let proof = proof.ok_or_else(|| own.missing(CLIENT.env, "\"BELL_CLIENT_SECRET\""));
    Ok(Access::Own(Client {
        id: id?,
        proof: proof?,
    }))
}

/// An API token.
pub(super) fn token(own: &Section<'_>) -> Read<Access<SecretString>> {
    let token = secret(own, &TOKEN);
    let printed = printed(own);
    match (token?, printed?) {
        (Some(_), Some(_)) => Err(twice(own, "an API token")),
        (Some(token), None) => Ok(Access::Own(token)),
        (None, Some(source)) => Ok(Access::Printed(source)),
        (None, None) => Err(own.missing(TOKEN.env, "\"BELL_OKTA_TOKEN\"")),
    }
}

/// A service account by its key.
pub(super) fn service_account(own: &Section<'_>) -> Read<Access<ServiceAccount>> {
    let key_file = own.optional("key_file", path);
    let subject = own.optional("subject", address);
    let login_url = own.optional("login_url", endpoint);
    let printed = printed(own)?;
    let (key_file, subject, login_url) = (key_file?, subject?, login_url?);
    if let Some(source) = printed {
        return match key_file {
            Some(_) => Err(twice(own, "key_file")),
            None => Ok(Access::Printed(source)),
        };
    }
    let key_file = key_file.ok_or_else(|| own.missing("key_file", "\"service-account.json\""));
    let subject = subject.ok_or_else(|| own.missing("subject", "\"admin@parl.example\""));
    Ok(Access::Own(ServiceAccount {
        key_file: key_file?,
        subject: subject?,
        login_url,
    }))
}

fn certificate(own: &Section<'_>) -> Read<Option<Certificate>> {
    let file = own.optional("certificate_file", path);
    let key_file = own.optional("certificate_key_file", path);
    let signing = own.or("certificate_signing", choice(SIGNINGS), Signing::Ps256);
    let (file, key_file, signing) = (file?, key_file?, signing?);
    match (file, key_file) {
        (Some(file), key_file) => Ok(Some(Certificate {
            key_file: key_file.unwrap_or_else(|| file.clone()),
            file,
            signing,
        })),
        (None, Some(_)) => Err(own.missing("certificate_file", "\"bell.pem\"")),
        (None, None) => Ok(None),
    }
}

fn printed(own: &Section<'_>) -> Read<Option<TokenSource>> {
    Ok(command(own)?.map(TokenSource::Command))
}

fn twice(own: &Section<'_>, other: &str) -> crate::config::section::Told {
    own.wrong(
        "token_command",
        format!("{other} is there too; keep one of them"),
    )
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, EXAMPLE, EvidenceKind};

    use super::*;

    fn read(keys: &str) -> Result<EvidenceKind, String> {
        let text = format!("{EXAMPLE}\n[[evidence]]\nname = \"it\"\nrealm = \"ad:PARL\"\n{keys}\n");
        let env = |name: &str| (name == "BELL_SECRET").then(|| "s3ntinel".to_owned());
        let file = std::path::Path::new("/etc/bell/config.toml");
        let config = Config::from_text(&text, file, &env).map_err(|wrong| wrong.to_string())?;
        let found = config.evidence.into_iter().find(|one| one.name == "it");
        found.map(|one| one.kind).ok_or_else(|| "none".to_owned())
    }

    const GRAPH: &str = "kind = \"graph\"\ntenant = \"parl\"\nclient_id = \"bell\"";

    #[test]
    fn a_secret_a_certificate_or_a_program_lets_us_in() {
        let graph = |more: &str| match read(&format!("{GRAPH}\n{more}")).unwrap() {
            EvidenceKind::Graph(graph) => graph.access,
            other => panic!("{other:?}"),
        };
        let Access::Own(Client { proof, .. }) = graph("certificate_file = \"bell.pem\"") else {
            panic!("no client")
        };
        let ClientProof::Certificate(certificate) = proof else {
            panic!("no certificate")
        };
        assert_eq!(certificate.file, certificate.key_file);
        assert_eq!(certificate.file, PathBuf::from("/etc/bell/bell.pem"));
        assert_eq!(certificate.signing, Signing::Ps256);
        let Access::Own(Client { proof, .. }) = graph("client_secret_env = \"BELL_SECRET\"") else {
            panic!("no client")
        };
        assert!(matches!(proof, ClientProof::Secret(_)));
        let access = graph("token_command = [\"/bin/token\", \"s3ntinel\"]");
        let shown = format!("{access:?}");
        assert!(
            shown.contains("/bin/token") && !shown.contains("s3ntinel"),
            "{shown}"
        );
    }

    #[test]
    fn what_does_not_fit_together_is_told_with_what_to_do() {
        for (keys, expected) in [
            (
                GRAPH.to_owned(),
                "client_secret_env: it is missing; add for instance client_secret_env = \"BELL_CLIENT_SECRET\"",
            ),
            (
                format!("{GRAPH}\nclient_secret_env = \"BELL_SECRET\"\ncertificate_file = \"bell.pem\""),
                "certificate_file: the client's secret is there too; keep one of them",
            ),
            (
                format!("{GRAPH}\ncertificate_file = \"bell.pem\"\ntoken_command = [\"x\"]"),
                "token_command: the client's secret or certificate is there too; keep one of them",
            ),
            (
                format!("{GRAPH}\ncertificate_key_file = \"bell.key\""),
                "certificate_file: it is missing; add for instance certificate_file = \"bell.pem\"",
            ),
            (
                format!("{GRAPH}\ncertificate_file = \"bell.pem\"\ncertificate_signing = \"ES256\""),
                "certificate_signing: \"ES256\" is not known",
            ),
            (
                "kind = \"okta\"\nurl = \"https://o.example\"\ntoken_env = \"BELL_SECRET\"\ntoken_command = [\"x\"]".to_owned(),
                "token_command: an API token is there too; keep one of them",
            ),
            (
                "kind = \"google\"\nkey_file = \"key.json\"\nsubject = \"a@parl.example\"\ntoken_command = [\"x\"]".to_owned(),
                "token_command: key_file is there too; keep one of them",
            ),
            (
                "kind = \"google\"".to_owned(),
                "key_file: it is missing",
            ),
            (
                format!("{GRAPH}\ncertificate_file = \"bell.pem\"\nproxy = \"http://ann:s3ntinel@proxy.example\""),
                "proxy: this is no proxy's address",
            ),
            (
                format!("{GRAPH}\ncertificate_file = \"bell.pem\"\nurl = \"http://127.0.0.1:1\"\nproxy = \"http://proxy.example\""),
                "proxy: it would read what is said over http://",
            ),
        ] {
            let told = read(&keys).expect_err(&keys);
            assert!(told.contains(expected), "{keys}\n{told}");
            assert!(!told.contains("s3ntinel"), "{told}");
        }
    }
}
