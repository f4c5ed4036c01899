//! The page where a human plays: what it has in common for all platforms.

/// A page with the common style and script where it asks for them.
pub(crate) fn page(own: &str) -> String {
    own.replace("/* shared style */", include_str!("page.css"))
        .replace("/* shared script */", include_str!("page.js"))
}
