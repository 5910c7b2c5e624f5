//! The page's files, embedded; they name no outside address.

/// A file of the page.
pub struct Asset {
    /// Its name, relative to the page.
    pub name: &'static str,
    /// Its media type.
    pub kind: &'static str,
    /// Its content.
    pub bytes: &'static [u8],
}

macro_rules! asset {
    ($name:literal, $kind:literal) => {
        Asset {
            name: $name,
            kind: $kind,
            bytes: include_bytes!(concat!("../page/", $name)),
        }
    };
}

/// All files of the page; the first is the page itself.
pub const ASSETS: [Asset; 8] = [
    asset!("index.html", "text/html; charset=utf-8"),
    asset!("style.css", "text/css; charset=utf-8"),
    asset!("app.js", "text/javascript; charset=utf-8"),
    asset!("paper.js", "text/javascript; charset=utf-8"),
    asset!("reader.js", "text/javascript; charset=utf-8"),
    asset!("results.js", "text/javascript; charset=utf-8"),
    asset!("types.js", "text/javascript; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
];
