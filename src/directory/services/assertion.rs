//! Assertion: a client's statement that it is itself, signed with the key of a certificate that the service knows, by the
//! system's OpenSSL (RFC 7523 section 2.2). The certificate is named by its SHA-256 (RFC 7515 section 4.1.8).

use data_encoding::BASE64URL_NOPAD;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Signer};
use openssl::x509::X509;
use reqwest::Url;
use serde_json::json;

use super::sign_in::{contents, part};
use super::{Certificate, ServiceError, Signing};
use crate::domain::Moment;

/// What the form says that the statement is.
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long it is good for, in seconds. It is used at once.
const LIFETIME: i64 = 300;
/// How far ahead our clock may be of the service's, in seconds.
const SKEW: i64 = 60;

/// The statement of the client `id`, for the place at `url` where tokens are given out.
pub(super) async fn statement(
    own: &Certificate,
    id: &str,
    url: &Url,
    now: Moment,
) -> Result<String, ServiceError> {
    let read = async |path, key| {
        contents(path)
            .await
            .map_err(|error| ServiceError::CertificateFile {
                key,
                kind: error.kind(),
            })
    };
    let certificate = read(&own.file, "certificate_file").await?;
    let key = read(&own.key_file, "certificate_key_file").await?;
    // OpenSSL's own words might quote the key.
    let certificate = X509::from_pem(&certificate)
        .map_err(|_| ServiceError::Certificate("certificate_file holds no certificate in PEM"))?;
    let key = PKey::private_key_from_pem_passphrase(&key, b"").map_err(|_| {
        ServiceError::Certificate(
            "certificate_key_file holds no private key in PEM without a password",
        )
    })?;
    let belongs = certificate
        .public_key()
        .is_ok_and(|public| public.public_eq(&key));
    if key.id() != Id::RSA || !belongs {
        return Err(ServiceError::Certificate(
            "the key of certificate_key_file is no RSA key, or not that of certificate_file",
        ));
    }
    let failed = |_: ErrorStack| {
        ServiceError::Certificate("OpenSSL does not sign with the certificate's key")
    };
    let digest = certificate
        .digest(MessageDigest::sha256())
        .map_err(failed)?;
    let issued = now.micros().div_euclid(1_000_000);
    let header = json!({
        "alg": own.signing.word(), "typ": "JWT", "x5t#S256": BASE64URL_NOPAD.encode(&digest),
    });
    let claims = json!({
        "aud": url.as_str(), "iss": id, "sub": id, "jti": BASE64URL_NOPAD.encode(&rand::random::<[u8; 16]>()),
        "iat": issued, "nbf": issued - SKEW, "exp": issued + LIFETIME,
    });
    let signed = format!("{}.{}", part(&header), part(&claims));
    let signature = own.signing.sign(&key, signed.as_bytes()).map_err(failed)?;
    Ok(format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature)))
}

impl Signing {
    const fn word(self) -> &'static str {
        match self {
            Self::Ps256 => "PS256",
            Self::Rs256 => "RS256",
        }
    }

    fn sign(self, key: &PKey<Private>, bytes: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        let mut signer = Signer::new(MessageDigest::sha256(), key)?;
        match self {
            Self::Ps256 => {
                signer.set_rsa_padding(Padding::PKCS1_PSS)?;
                signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
                signer.set_rsa_mgf1_md(MessageDigest::sha256())?;
            }
            Self::Rs256 => signer.set_rsa_padding(Padding::PKCS1)?,
        }
        signer.sign_oneshot_to_vec(bytes)
    }
}
