//! The page alone, without `hw` and everything it can do besides: prints where it is.
//!
//! ```text
//! cargo run --release -p hw-serve --no-default-features --example page
//! ```

use hw_serve::{Server, Settings, asked_to_stop};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let address = ([127, 0, 0, 1], 0).into();
        let settings = Settings {
            address,
            ..Settings::default()
        };
        let server = Server::bind(settings).await?;
        println!("{{\"address\": \"http://{}\"}}", server.address()?);
        server.run(asked_to_stop()).await;
        Ok(())
    })
}
