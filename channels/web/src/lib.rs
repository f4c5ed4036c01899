//! The web page that ships with the gateway.
