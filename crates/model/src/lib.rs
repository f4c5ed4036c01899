//! The seam to language models: OpenAI-compatible, Anthropic, scripted.
