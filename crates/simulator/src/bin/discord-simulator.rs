//! Runs the simulated Discord by hand or for a test in another process: `cargo run -p simulator --bin discord-simulator`.
//!
//! One line of JSON on the standard output says where it is, once it answers. People play at the address `control`.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    simulator::discord::main().await
}
