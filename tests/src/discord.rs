//! The simulated Discord as a process, for the tests of this package.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    simulator::discord::main().await
}
