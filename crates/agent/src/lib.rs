//! The functional core: events, threads, and the pure decisions over them.
