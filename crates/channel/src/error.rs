//! What can go wrong at a channel, sorted by what to do about it.

use std::{fmt, time::Duration};

/// What the caller is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It certainly did not happen; try again, not before `after` if the platform named a time.
    Retry {
        /// The platform's own waiting time.
        after: Option<Duration>,
    },
    /// It may have happened (a time-out, a cut connection). The channel reconciles at the next attempt.
    Ambiguous,
    /// It will never work: the address does not exist, the platform refused the content.
    Refused,
    /// It will not work until somebody changes something: a wrong password, a missing scope. Tried again slowly.
    Misconfigured,
}

/// An error at a channel: a kind to act on, a sentence to read, a remedy where one is known.
///
/// Neither text may hold a secret.
#[derive(Debug)]
pub struct Error {
    /// What to do.
    pub kind: Kind,
    /// What went wrong, one sentence with the place in it.
    pub what: String,
    /// What the operator can do about it.
    pub remedy: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of this kind.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), remedy: None, source: None }
    }

    /// Not sent; may be tried again at once.
    pub fn retry(what: impl Into<String>) -> Self {
        Self::new(Kind::Retry { after: None }, what)
    }

    /// Perhaps sent.
    pub fn ambiguous(what: impl Into<String>) -> Self {
        Self::new(Kind::Ambiguous, what)
    }

    /// Never.
    pub fn refused(what: impl Into<String>) -> Self {
        Self::new(Kind::Refused, what)
    }

    /// Not until the operator acts.
    pub fn misconfigured(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { kind: Kind::Misconfigured, what: what.into(), remedy: Some(remedy.into()), source: None }
    }

    /// Adds a remedy.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Keeps the cause for tracing.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.remedy {
            Some(remedy) => write!(f, " ({remedy})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}
