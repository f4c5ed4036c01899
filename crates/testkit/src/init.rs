//! What every test binary needs before its first test.

use std::sync::Once;

use tracing_subscriber::EnvFilter;

static ONCE: Once = Once::new();

/// Installs the TLS provider, without which no HTTP client can be built, and, when `SWITCHBOARD_TEST_LOG` holds a
/// filter (`debug`, `store=trace`), a log that shows with the output of the test. Call it as often as you like.
pub fn init() {
    ONCE.call_once(|| {
        // Another test helper may have installed one already; that is as good.
        rustls::crypto::ring::default_provider().install_default().ok();
        if let Ok(filter) = EnvFilter::try_from_env("SWITCHBOARD_TEST_LOG") {
            tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init().ok();
        }
    });
}
