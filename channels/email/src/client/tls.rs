//! Connections, protected as configured.

use std::{io, sync::Arc};

use channel::Error;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::{CONNECT_TIMEOUT, said, within};
use crate::config::Server;

/// A connection, whatever protects it.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug> Wire for T {}

/// Connects.
pub(super) async fn tcp(server: &Server, table: &str) -> Result<TcpStream, Error> {
    let Server { host, port, .. } = server;
    let place = format!("{host}:{port}");
    let lookup = within(CONNECT_TIMEOUT, &place, tokio::net::lookup_host((host.as_str(), *port))).await?;
    let addresses: Vec<_> = lookup
        .map_err(|error| {
            Error::retry(format!("{host} is not found: {}", said(&error)))
                .with_remedy(format!("check {table}.host and the DNS of this machine"))
                .with_source(error)
        })?
        .collect();
    let stream = within(CONNECT_TIMEOUT, &place, TcpStream::connect(addresses.as_slice())).await?;
    let stream = stream.map_err(|error| {
        Error::retry(format!("{place} does not accept a connection: {}", said(&error)))
            .with_remedy(format!("check {table}.port, a firewall, and whether the server runs"))
            .with_source(error)
    })?;
    // A dialogue of short lines: nothing is gained by holding them back.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Adds TLS to a connection.
pub(super) async fn protect(stream: TcpStream, server: &Server, table: &str) -> Result<Box<dyn Wire>, Error> {
    let host = server.host.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host).map_err(|_| {
        Error::misconfigured(format!("{table}.host is no name of a server"), "write a host name")
    })?;
    let connector = TlsConnector::from(config(server, table)?);
    let protected = within(CONNECT_TIMEOUT, "TLS", connector.connect(name, stream)).await?;
    Ok(Box::new(protected.map_err(|error| failed(error, server, table))?))
}

fn failed(error: io::Error, server: &Server, table: &str) -> Error {
    let what = format!("TLS with {}:{} failed: {}", server.host, server.port, said(&error));
    match remedy(&error, table) {
        Some(remedy) => Error::misconfigured(what, remedy).with_source(error),
        // A connection that broke is likely to work the next time.
        None => Error::retry(what).with_source(error),
    }
}

/// What an operator can do about a TLS error, if trying again will not help.
pub(super) fn remedy(error: &(dyn std::error::Error + 'static), table: &str) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let found = inside.and_then(|inside| inside.downcast_ref::<rustls::Error>());
        match found.or_else(|| error.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(_)) => {
                return Some(format!(
                    "the server's certificate is not trusted: name its file in {table}.ca_file, or use the name that \
                     stands in it as {table}.host"
                ));
            }
            Some(rustls::Error::InvalidMessage(_)) => {
                return Some(format!(
                    "the server does not speak TLS on this port: check {table}.port, or set {table}.tls = \"starttls\""
                ));
            }
            Some(_) | None => cause = error.source(),
        }
    }
    None
}

fn config(server: &Server, table: &str) -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    for certificate in extra_certificates(server, table)? {
        roots.add(certificate).map_err(|error| {
            let what = format!("{table}.ca_file holds a certificate that cannot be used: {}", said(&error));
            Error::misconfigured(what, "it must be PEM")
        })?;
    }
    if roots.is_empty() {
        return Err(Error::misconfigured(
            "this machine has no certificates to trust",
            format!("install ca-certificates, or set {table}.ca_file"),
        ));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder =
        builder.map_err(|error| Error::misconfigured(said(&error), "this is a fault of the build"))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// The certificates that the settings add to the system's.
pub(crate) fn extra_certificates(
    server: &Server,
    table: &str,
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let Some(file) = &server.ca_file else { return Ok(Vec::new()) };
    let unread = |error: &dyn std::fmt::Display| {
        Error::misconfigured(
            format!("{table}.ca_file {file} cannot be read: {}", said(error)),
            "name a PEM file",
        )
    };
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| unread(&error))?;
    let certificates = certificates.collect::<Result<Vec<_>, _>>().map_err(|error| unread(&error))?;
    if certificates.is_empty() {
        return Err(unread(&"there is no certificate in it"));
    }
    Ok(certificates)
}
