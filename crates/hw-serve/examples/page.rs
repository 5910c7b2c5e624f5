//! The page alone, without `hw` and everything it can do besides: built in half a minute.
//!
//! ```text
//! cargo page
//! cargo page 8081
//! ```

use hw_serve::{Server, Settings, asked_to_stop};
use std::error::Error;
use std::process::ExitCode;

/// Where the page is unless told otherwise.
const PORT: u16 = 8080;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let asked = std::env::args().nth(1).map(|port| port.parse::<u16>());
    let asked = match asked {
        Some(Err(_)) => return Err("expected a port, 8081 say, or nothing".into()),
        Some(Ok(port)) => Some(port),
        None => None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let settings = |port: u16| Settings {
            address: ([127, 0, 0, 1], port).into(),
            ..Settings::default()
        };
        let server = match (Server::bind(settings(asked.unwrap_or(PORT))).await, asked) {
            // Somebody else is there; any other place will do.
            (Err(_), None) => Server::bind(settings(0)).await?,
            (bound, _) => bound?,
        };
        let address = server.address()?;
        println!("open http://{address} and write a word; Ctrl-C stops");
        server.run(asked_to_stop()).await;
        Ok(())
    })
}
