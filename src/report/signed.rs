//! Signed: a list that others act on, with a signature that they can check without us: Ed25519, as OpenSSL writes it.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use openssl::pkey::{Id, PKey, Private, Public};
use openssl::sign::{Signer, Verifier};
use zeroize::Zeroizing;

/// How whoever gets a list checks it, with the public key in a file of theirs.
pub const HOW_TO_VERIFY: &str =
    "openssl pkeyutl -verify -pubin -inkey bell-public.pem -rawin -in LIST -sigfile LIST.sig";

/// The private key that lists are signed with.
pub struct SigningKey(PKey<Private>);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").finish_non_exhaustive()
    }
}

/// Why a list cannot be signed. Never holds the key.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The file of the key.
    #[error("the key's file")]
    File(#[from] io::Error),
    /// Others may read it.
    #[error(
        "others than its owner may read the key's file: chmod 600, and make a new key if somebody may have read it"
    )]
    Open,
    /// It holds no key of ours.
    #[error(
        "the key's file holds no Ed25519 key in PEM; name another in [containment], and `bell contain key` makes one"
    )]
    NoKey,
    /// OpenSSL refuses.
    #[error("signing")]
    Crypto(#[from] openssl::error::ErrorStack),
}

impl SigningKey {
    /// Reads the key.
    pub fn read(path: &Path) -> Result<Self, SigningError> {
        let mut file = std::fs::File::open(path)?;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            return Err(SigningError::Open);
        }
        let mut pem = Zeroizing::new(Vec::with_capacity(4096));
        (&mut file).take(4096).read_to_end(&mut pem)?;
        let key = PKey::private_key_from_pem(&pem).map_err(|_| SigningError::NoKey)?;
        if key.id() != Id::ED25519 {
            return Err(SigningError::NoKey);
        }
        Ok(Self(key))
    }

    /// Reads the key, or makes one for its owner's eyes only if there is none.
    pub fn read_or_make(path: &Path) -> Result<Self, SigningError> {
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        match made {
            Ok(mut file) => {
                let key = PKey::generate_ed25519()?;
                let pem = Zeroizing::new(key.private_key_to_pem_pkcs8()?);
                file.write_all(&pem)?;
                file.sync_all()?;
                Ok(Self(key))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::read(path),
            Err(error) => Err(error.into()),
        }
    }

    /// The half that everybody may have, in PEM.
    pub fn public_pem(&self) -> Result<String, SigningError> {
        let pem = self.0.public_key_to_pem()?;
        Ok(String::from_utf8_lossy(&pem).into_owned())
    }

    /// The half that checks what this one signs.
    pub fn verifying(&self) -> Result<VerifyingKey, SigningError> {
        let raw = self.0.raw_public_key()?;
        Ok(VerifyingKey(PKey::public_key_from_raw_bytes(
            &raw,
            Id::ED25519,
        )?))
    }

    /// The signature of a list: 64 bytes.
    pub fn sign(&self, list: &[u8]) -> Result<Vec<u8>, SigningError> {
        Ok(Signer::new_without_digest(&self.0)?.sign_oneshot_to_vec(list)?)
    }
}

/// The public half of a key, to check signatures with.
pub struct VerifyingKey(PKey<Public>);

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyingKey").finish_non_exhaustive()
    }
}

/// Why a signature cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum VerifyingError {
    /// The file of the key.
    #[error("the key's file")]
    File(#[from] io::Error),
    /// It holds no key of ours.
    #[error("the file holds no Ed25519 public key in PEM; `bell ledger key` prints the one to use")]
    NoKey,
    /// OpenSSL refuses.
    #[error("checking a signature")]
    Crypto(#[from] openssl::error::ErrorStack),
}

impl VerifyingKey {
    /// Reads the public key, in PEM.
    pub fn read(path: &Path) -> Result<Self, VerifyingError> {
        let mut pem = Vec::with_capacity(4096);
        std::fs::File::open(path)?
            .take(4096)
            .read_to_end(&mut pem)?;
        let key = PKey::public_key_from_pem(&pem).map_err(|_| VerifyingError::NoKey)?;
        match key.id() == Id::ED25519 {
            true => Ok(Self(key)),
            false => Err(VerifyingError::NoKey),
        }
    }

    /// Whether a signature is this key's, of exactly these bytes.
    pub fn proves(&self, bytes: &[u8], signature: &[u8]) -> Result<bool, VerifyingError> {
        // One of another length is none, and OpenSSL calls it an error.
        if signature.len() != 64 {
            return Ok(false);
        }
        let mut verifier = Verifier::new_without_digest(&self.0)?;
        Ok(verifier.verify_oneshot(signature, bytes)?)
    }
}
