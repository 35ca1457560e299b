//! Runs the real binary in a temporary folder.

use assert_cmd::Command;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tiff::decoder::Decoder;
use tiff::encoder::{Compression, DeflateLevel, TiffEncoder, colortype};
use tiff::tags::Tag;

/// A temporary folder in which the binary runs.
pub(crate) struct Workplace {
    folder: TempDir,
}

impl Workplace {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A path inside.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Runs `locam` with these words and returns its exit code, standard output and standard error.
    pub(crate) fn run(&self, words: &[&str]) -> (i32, String, String) {
        self.run_with(&[], words)
    }

    /// As [`Workplace::run`], on so many threads.
    pub(crate) fn run_on(&self, threads: u32, words: &[&str]) -> (i32, String, String) {
        self.run_with(&[("RAYON_NUM_THREADS", &threads.to_string())], words)
    }

    /// As [`Workplace::run`], with these variables of the environment.
    pub(crate) fn run_with(&self, variables: &[(&str, &str)], words: &[&str]) -> (i32, String, String) {
        let output = Command::cargo_bin("locam")
            .expect("the binary is built")
            .current_dir(self.root())
            .envs(variables.iter().copied())
            .env_remove("LOCAM_CACHE")
            .env("COLUMNS", "100")
            .args(words)
            .output()
            .expect("the binary runs");
        let text = |bytes: &[u8]| {
            String::from_utf8_lossy(bytes).replace(&self.root().display().to_string(), "[DIR]")
        };
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }

    /// Starts `locam` with these words on two threads, kills it at once when `is_time`, and says whether it was still at work
    /// then.
    pub(crate) fn killed(&self, words: &[&str], is_time: impl Fn() -> bool) -> bool {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("locam"));
        // On as many as some machines have everything would be done at once.
        command.env("RAYON_NUM_THREADS", "2");
        command.current_dir(self.root()).args(words).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the binary runs");
        while !is_time() && child.try_wait().expect("the child can be asked").is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().expect("the child can be killed");
        !child.wait().expect("the child ends").success()
    }

    /// As [`Workplace::run`], and fails the test unless the exit code is 0.
    pub(crate) fn ok(&self, words: &[&str]) -> (String, String) {
        let (code, out, err) = self.run(words);
        assert_eq!(code, 0, "locam {}\n--- stdout\n{out}\n--- stderr\n{err}", words.join(" "));
        (out, err)
    }

    /// What a snapshot holds: exit code, standard output, standard error.
    pub(crate) fn transcript(&self, words: &[&str]) -> String {
        let (code, out, err) = self.run(words);
        format!("$ locam {}\nexit code: {code}\n--- stdout\n{out}--- stderr\n{err}", words.join(" "))
    }
}

/// Writes a patch of one colour with a dark square in it.
pub(crate) fn write_patch(path: &Path, colour: [u8; 3], side: u32) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
    let third = side / 3;
    let image = image::RgbImage::from_fn(side, side, |x, y| {
        let inside = (third..2 * third).contains(&x) && (third..2 * third).contains(&y);
        image::Rgb(if inside { [20, 20, 20] } else { colour })
    });
    image.save(path).expect("the patch can be written");
}

/// Writes a TIFF in compressed strips of so many rows, the third of which is damaged.
pub(crate) fn write_damaged_tiff(path: &Path, (width, height): (u32, u32), rows: u32) {
    let mut bytes = Cursor::new(Vec::new());
    let deflate = Compression::Deflate(DeflateLevel::Balanced);
    let mut encoder = TiffEncoder::new(&mut bytes).expect("a TIFF can be begun").with_compression(deflate);
    let mut writer = encoder.new_image::<colortype::RGB8>(width, height).expect("an image can be begun");
    writer.rows_per_strip(rows).expect("strips can have any height");
    let pixels: Vec<u8> =
        (0..3 * width * height).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    writer.write_data(&pixels).expect("the pixels can be written");
    bytes.set_position(0);
    let mut decoder = Decoder::new(&mut bytes).expect("it is a TIFF");
    let offsets = decoder.get_tag_u64_vec(Tag::StripOffsets).expect("it has strips");
    let mut bytes = bytes.into_inner();
    bytes[offsets[2] as usize..][..40].fill(0xFF);
    std::fs::write(path, bytes).expect("the file can be written");
}

/// Writes a grey TIFF of floats, of which one in the middle is as given.
pub(crate) fn write_float_tiff(path: &Path, (width, height): (u32, u32), value: f32) {
    let mut values = vec![0.5; (width * height) as usize];
    values[(width * height / 2) as usize] = value;
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut bytes).expect("a TIFF can be begun");
    encoder.write_image::<colortype::Gray32Float>(width, height, &values).expect("the pixels can be written");
    std::fs::write(path, bytes.into_inner()).expect("the file can be written");
}
