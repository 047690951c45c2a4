//! Certificates of a local authority, for brokers and one client.

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use std::fs;
use std::path::{Path, PathBuf};

const ADDRESS: &str = "127.0.0.1";

/// PEM files of an authority, the brokers and one client that it vouches for.
#[derive(Clone, Debug)]
pub struct Certificates {
    dir: PathBuf,
}

impl Certificates {
    /// Who the client's certificate names, as ACLs write it.
    pub const CLIENT: &'static str = "User:CN=xp-client";

    /// Those that are there are used again: clients may trust them already.
    pub(crate) fn make_in(dir: &Path) -> Result<Self> {
        let made = Self {
            dir: dir.to_owned(),
        };
        if !made.server_keystore().exists() {
            fs::create_dir_all(dir)?;
            made.write().context("cannot make certificates")?;
        }
        Ok(made)
    }

    /// The server's file comes last: where it is, all are.
    fn write(&self) -> Result<()> {
        let (stranger, _) = authority("nobody trusts this")?;
        fs::write(self.stranger_ca(), stranger)?;
        let (ca, issuer) = authority("local Kafka")?;
        fs::write(self.ca(), ca)?;
        let client = signed(
            "xp-client",
            &[],
            ExtendedKeyUsagePurpose::ClientAuth,
            &issuer,
        )?;
        fs::write(self.client_certificate(), &client.certificate)?;
        fs::write(self.client_key(), &client.key)?;
        fs::write(self.client_keystore(), client.keystore())?;
        let names = [ADDRESS, "localhost"];
        let server = signed(
            "kafka",
            &names,
            ExtendedKeyUsagePurpose::ServerAuth,
            &issuer,
        )?;
        fs::write(self.server_keystore(), server.keystore())?;
        Ok(())
    }

    /// The certificate of the authority that signed the others.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// The certificate of another authority, which signed none of them: who trusts only this one refuses the brokers.
    #[must_use]
    pub fn stranger_ca(&self) -> PathBuf {
        self.dir.join("stranger-ca.pem")
    }

    /// The client's certificate.
    #[must_use]
    pub fn client_certificate(&self) -> PathBuf {
        self.dir.join("client.pem")
    }

    /// The client's private key, not encrypted.
    #[must_use]
    pub fn client_key(&self) -> PathBuf {
        self.dir.join("client-key.pem")
    }

    /// Key and certificate in one file, as Java's clients read it (`ssl.keystore.location`).
    #[must_use]
    pub fn client_keystore(&self) -> PathBuf {
        self.dir.join("client-keystore.pem")
    }

    pub(crate) fn server_keystore(&self) -> PathBuf {
        self.dir.join("server-keystore.pem")
    }
}

struct Signed {
    certificate: String,
    key: String,
}

impl Signed {
    fn keystore(&self) -> String {
        format!("{}{}", self.key, self.certificate)
    }
}

fn authority(name: &str) -> Result<(String, Issuer<'static, KeyPair>)> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.pem();
    Ok((certificate, Issuer::new(params, key)))
}

fn signed(
    name: &str,
    hosts: &[&str],
    usage: ExtendedKeyUsagePurpose,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<Signed> {
    let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    if hosts.contains(&ADDRESS) {
        // As a name too: OpenSSL before 3 takes whatever it connects to for a name.
        params
            .subject_alt_names
            .push(SanType::DnsName(ADDRESS.try_into()?));
    }
    // Nothing but the common name: brokers make the whole of it the user's name.
    params.distinguished_name = rcgen::DistinguishedName::new();
    let name = DnValue::Utf8String(name.to_owned());
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate()?;
    Ok(Signed {
        certificate: params.signed_by(&key, issuer)?.pem(),
        key: key.serialize_pem(),
    })
}
