//! Torchvision's own weight files, fetched once into the user's cache folder.

use crate::NetError;
use crate::files::{part_of, read_error, sha256_of_file, write_error};
use locam_arch::ArchName;
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where torchvision publishes its weights.
const OFFICIAL: &str = "https://download.pytorch.org/models/";
/// Names the cache folder, in place of the user's own.
const CACHE_VARIABLE: &str = "LOCAM_CACHE";
/// A server that sends nothing for so long is given up.
const PATIENCE: Duration = Duration::from_mins(1);

/// The file of torchvision's ImageNet weights for an architecture, from the cache or else downloaded into it.
///
/// An interrupted download goes on where it stopped. `progress` is called with the bytes that are there and the
/// file's length, where the server tells it. What is checked is the start of the SHA-256 that torchvision puts into
/// its file names, eight hexadecimal digits; it publishes no full hashes.
///
/// The cache is the folder that `LOCAM_CACHE` names, else `locam` in the user's cache folder.
///
/// # Errors
/// [`NetError::Download`] with the address and the place for the file where there is no way to fetch it,
/// [`NetError::Hash`] where the file is not the expected one.
pub fn imagenet_weights(
    arch: ArchName,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<PathBuf, NetError> {
    fetch(OFFICIAL, arch.imagenet_file(), &cache_folder()?, progress)
}

fn cache_folder() -> Result<PathBuf, NetError> {
    if let Some(folder) = std::env::var_os(CACHE_VARIABLE).filter(|folder| !folder.is_empty()) {
        return Ok(PathBuf::from(folder));
    }
    directories::ProjectDirs::from("", "", "locam").map(|dirs| dirs.cache_dir().to_owned()).ok_or_else(|| {
        let source = std::io::Error::other(format!("no home folder; set {CACHE_VARIABLE} to a folder"));
        NetError::Write { path: PathBuf::from("cache folder"), source }
    })
}

/// The file `name` from `folder`, else from the address `base` followed by its name.
fn fetch(
    base: &str,
    name: &str,
    folder: &Path,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<PathBuf, NetError> {
    let place = folder.join(name);
    if place.is_file() {
        check(&place, &place, name, "delete it, so that it is downloaded again")?;
        return Ok(place);
    }
    fs::create_dir_all(folder).map_err(|source| write_error(folder, source))?;
    let part = part_of(&place);
    Download { url: format!("{base}{name}"), place: place.clone(), part: part.clone() }.run(progress)?;
    if let Err(error) = check(&part, &place, name, "it was deleted; run again to download it anew") {
        fs::remove_file(&part).map_err(|source| write_error(&part, source))?;
        return Err(error);
    }
    fs::rename(&part, &place).map_err(|source| write_error(&place, source))?;
    Ok(place)
}

/// Compares a file with the hash that ends its name, e.g. `f37072fd` in `resnet18-f37072fd.pth`.
fn check(file: &Path, named: &Path, name: &str, advice: &'static str) -> Result<(), NetError> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let expected = stem.rsplit_once('-').map_or("", |(_, hash)| hash);
    let found = sha256_of_file(file)?;
    if found.starts_with(expected) {
        return Ok(());
    }
    Err(NetError::Hash { path: named.to_owned(), expected: format!("{expected}…"), found, advice })
}

struct Download {
    url: String,
    place: PathBuf,
    part: PathBuf,
}

impl Download {
    /// Completes the part file.
    fn run(&self, progress: &mut dyn FnMut(u64, Option<u64>)) -> Result<(), NetError> {
        let there = fs::metadata(&self.part).map_or(0, |file| file.len());
        let mut response = self.request(there)?;
        let status = response.status().as_u16();
        // 416: nothing lies behind what is there already, which is then the whole file or wrong; its hash tells.
        if status == 416 && there > 0 {
            return Ok(());
        }
        let resumes = status == 206;
        if !resumes && status != 200 {
            return Err(self.failed(format!("the server answered {}", response.status())));
        }
        let start = if resumes { there } else { 0 };
        let total = response.body().content_length().map(|rest| start + rest);
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(!resumes)
            .append(resumes)
            .open(&self.part)
            .map_err(|source| write_error(&self.part, source))?;
        let mut done = start;
        let mut buffer = vec![0; 1 << 16];
        let mut body = response.body_mut().as_reader();
        loop {
            progress(done, total);
            match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    let written = file.write_all(&buffer[..count]);
                    written.map_err(|source| write_error(&self.part, source))?;
                    done += count as u64;
                }
                Err(error) => {
                    return Err(self.failed(format!("the connection broke after {done} bytes: {error}")));
                }
            }
        }
        if total.is_some_and(|total| done < total) {
            return Err(self.failed(format!("the connection ended after {done} bytes")));
        }
        file.sync_all().map_err(|source| read_error(&self.part, source))
    }

    /// Asks for the file from byte `start` on.
    fn request(&self, start: u64) -> Result<ureq::http::Response<ureq::Body>, NetError> {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .build()
            .new_agent();
        let mut request = agent.get(&self.url);
        if start > 0 {
            request = request.header("Range", format!("bytes={start}-"));
        }
        request.call().map_err(|error| self.failed(error.to_string()))
    }

    fn failed(&self, reason: String) -> NetError {
        NetError::Download { url: self.url.clone(), reason, place: self.place.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::sha256;
    use std::io::{BufRead as _, BufReader};
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    /// What the server does with a connection.
    #[derive(Clone, Copy)]
    enum Answer {
        /// Sends what is asked for.
        Whole,
        /// Closes the connection after so many bytes of the body.
        Cut(usize),
        /// Knows no ranges: sends everything from the start.
        Rangeless,
        /// Not found.
        Missing,
    }

    /// A server that answers one connection after the other and then gives back the requested ranges' starts.
    fn serve(content: Vec<u8>, answers: Vec<Answer>) -> (String, JoinHandle<Vec<usize>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/models/", listener.local_addr().unwrap());
        let handle =
            thread::spawn(move || answers.into_iter().map(|a| answer(&listener, &content, a)).collect());
        (base, handle)
    }

    fn answer(listener: &TcpListener, content: &[u8], answer: Answer) -> usize {
        let (mut stream, _) = listener.accept().unwrap();
        let request = BufReader::new(stream.try_clone().unwrap());
        let lines: Vec<String> =
            request.lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let range = lines.iter().find_map(|line| {
            let lower = line.to_lowercase();
            lower.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse::<usize>().ok()
        });
        let start = range.unwrap_or(0);
        let (status, from) = match answer {
            Answer::Missing => ("404 Not Found", content.len()),
            Answer::Rangeless => ("200 OK", 0),
            _ if range.is_some() && start >= content.len() => ("416 Range Not Satisfiable", content.len()),
            _ if range.is_some() => ("206 Partial Content", start),
            _ => ("200 OK", 0),
        };
        let body = &content[from..];
        let sent = if let Answer::Cut(count) = answer { &body[..count] } else { body };
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(sent).unwrap();
        start
    }

    fn content() -> Vec<u8> {
        (0..300_000u32).flat_map(u32::to_le_bytes).collect()
    }

    /// A file name that carries the content's hash, as torchvision's do.
    fn name_of(content: &[u8]) -> String {
        format!("net-{}.pth", &sha256(content)[..8])
    }

    fn no_progress() -> impl FnMut(u64, Option<u64>) {
        |_, _| {}
    }

    #[test]
    fn a_file_is_downloaded_once() {
        let folder = tempfile::tempdir().unwrap();
        let name = name_of(&content());
        let (base, server) = serve(content(), vec![Answer::Whole]);
        let mut seen = Vec::new();
        let path = fetch(&base, &name, folder.path(), &mut |done, total| seen.push((done, total))).unwrap();
        assert_eq!(fs::read(&path).unwrap(), content());
        let length = content().len() as u64;
        assert_eq!(seen.first(), Some(&(0, Some(length))));
        assert_eq!(seen.last(), Some(&(length, Some(length))));
        server.join().unwrap();
        // Nobody listens any more: the second time it comes from the cache.
        assert_eq!(fetch(&base, &name, folder.path(), &mut no_progress()).unwrap(), path);
    }

    #[test]
    fn a_cut_download_goes_on_where_it_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let name = name_of(&content());
        let (base, server) = serve(content(), vec![Answer::Cut(200_000), Answer::Whole]);
        let error = fetch(&base, &name, folder.path(), &mut no_progress()).unwrap_err().to_string();
        assert!(error.contains("the connection") && error.contains("run again to go on"), "{error}");
        let path = fetch(&base, &name, folder.path(), &mut no_progress()).unwrap();
        assert_eq!(fs::read(path).unwrap(), content());
        assert_eq!(server.join().unwrap(), [0, 200_000]);
    }

    #[test]
    fn a_server_without_ranges_starts_over() {
        let folder = tempfile::tempdir().unwrap();
        let name = name_of(&content());
        let (base, server) = serve(content(), vec![Answer::Cut(1000), Answer::Rangeless]);
        fetch(&base, &name, folder.path(), &mut no_progress()).unwrap_err();
        let path = fetch(&base, &name, folder.path(), &mut no_progress()).unwrap();
        assert_eq!(fs::read(path).unwrap(), content());
        server.join().unwrap();
    }

    #[test]
    fn a_complete_part_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let name = name_of(&content());
        fs::write(part_of(&folder.path().join(&name)), content()).unwrap();
        let (base, server) = serve(content(), vec![Answer::Whole]);
        let path = fetch(&base, &name, folder.path(), &mut no_progress()).unwrap();
        assert_eq!(fs::read(path).unwrap(), content());
        assert_eq!(server.join().unwrap(), [content().len()]);
    }

    #[test]
    fn a_wrong_checksum_is_an_error_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (base, server) = serve(content(), vec![Answer::Whole]);
        let error = fetch(&base, "net-00000000.pth", folder.path(), &mut no_progress()).unwrap_err();
        assert!(matches!(&error, NetError::Hash { expected, .. } if expected == "00000000…"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        server.join().unwrap();
    }

    #[test]
    fn a_wrong_file_in_the_cache_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("net-00000000.pth"), b"something else").unwrap();
        let error =
            fetch("http://localhost:1/", "net-00000000.pth", folder.path(), &mut no_progress()).unwrap_err();
        assert!(error.to_string().contains("delete it, so that it is downloaded again"), "{error}");
    }

    #[test]
    fn without_a_server_the_address_and_the_place_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let (base, server) = serve(content(), vec![Answer::Missing]);
        let error =
            fetch(&base, "net-00000000.pth", folder.path(), &mut no_progress()).unwrap_err().to_string();
        assert!(error.contains("the server answered 404 Not Found"), "{error}");
        server.join().unwrap();
        let error =
            fetch(&base, "net-00000000.pth", folder.path(), &mut no_progress()).unwrap_err().to_string();
        assert!(error.contains(&format!("cannot download {base}net-00000000.pth")), "{error}");
        let place = folder.path().join("net-00000000.pth");
        assert!(error.contains(&format!("put it at {}", place.display())), "{error}");
    }
}
