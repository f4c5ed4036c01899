//! The imperative shell: accept, step, deliver, serve.
