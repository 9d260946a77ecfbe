//! A small server of static files, with the headers that the page is meant to have.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crate::shell::Result;

/// What the page may do. `index.html` says the same in a meta tag, for hosts that set no headers.
const POLICY: &str = include_str!("../../web/page/policy.txt");

/// Serves one folder on this machine's own address.
pub(crate) struct Server {
    folder: PathBuf,
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Port 0 takes any that is free.
    pub(crate) fn bind(folder: &Path, port: u16) -> Result<Self> {
        let problem = |error| format!("port {port} cannot be served: {error}");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(problem)?;
        let address = listener.local_addr().map_err(problem)?;
        Ok(Self {
            folder: folder.to_path_buf(),
            listener,
            address,
        })
    }

    /// Where the page is.
    pub(crate) fn url(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }

    /// Answers until the process ends.
    pub(crate) fn run(&self) {
        std::thread::scope(|scope| {
            for stream in self.listener.incoming().flatten() {
                // A visitor who goes away is no event.
                scope.spawn(move || answer(stream, &self.folder).ok());
            }
        });
    }
}

/// One request, one answer, and the connection is closed.
fn answer(mut stream: TcpStream, folder: &Path) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let mut words = request.split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or("/"));
    let found = file(folder, target).and_then(|path| Some((fs::read(&path).ok()?, path)));
    let (status, kind, body) = match (method, found) {
        ("GET" | "HEAD", Some((body, path))) => ("200 OK", kind(&path), body),
        ("GET" | "HEAD", None) => (
            "404 Not Found",
            "text/plain; charset=utf-8",
            b"404".to_vec(),
        ),
        _ => (
            "405 Method Not Allowed",
            "text/plain; charset=utf-8",
            b"405".to_vec(),
        ),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Content-Security-Policy: {POLICY}; frame-ancestors 'none'\r\n\
         Cross-Origin-Opener-Policy: same-origin\r\n\
         Cross-Origin-Embedder-Policy: require-corp\r\n\
         Cross-Origin-Resource-Policy: same-origin\r\n\
         X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
         Cache-Control: no-cache\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    if method != "HEAD" {
        stream.write_all(&body)?;
    }
    stream.flush()
}

/// The file that a request means, inside of `folder`. The site's names need no decoding.
fn file(folder: &Path, target: &str) -> Option<PathBuf> {
    let path = target.split(['?', '#']).next()?.trim_start_matches('/');
    let path = Path::new(path);
    let inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let path = folder.join(path);
    match path.is_dir() {
        true => inside.then(|| path.join("index.html")),
        false => inside.then_some(path),
    }
}

fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|end| end.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("svg") => "image/svg+xml",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_folder_are_served() {
        let folder = Path::new("/site");
        assert_eq!(file(folder, "/app.js?v=1"), Some("/site/app.js".into()));
        assert_eq!(file(folder, "/../secret"), None);
        assert_eq!(file(folder, "/a/../../secret"), None);
        assert_eq!(
            file(folder, "//etc/passwd"),
            Some("/site/etc/passwd".into())
        );
    }
}
