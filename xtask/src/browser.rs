//! The program's pages in a real browser: nothing on the console, every picture there, nothing wider than the window,
//! on screens light, dark and narrow, and on paper.

mod chromium;

use crate::ci::step;
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chromium::Chromium;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Where screenshots and prints go.
const OUT: &str = "target/browser";

/// How a page is looked at.
struct Screen {
    name: &'static str,
    width: u32,
    scheme: &'static str,
}

const SCREENS: [Screen; 3] = [
    Screen { name: "light", width: 1280, scheme: "light" },
    Screen { name: "dark", width: 1280, scheme: "dark" },
    Screen { name: "narrow", width: 390, scheme: "light" },
];

/// Looks at pages; those that the demonstration wrote where none are named.
pub(crate) fn run(pages: &[String]) -> Result<()> {
    let Some(program) = chromium::find() else {
        eprintln!("\n==> browser skipped: no Chromium is installed (Debian's package is `chromium`)");
        return Ok(());
    };
    let pages: Vec<PathBuf> =
        if pages.is_empty() { demonstration()? } else { pages.iter().map(PathBuf::from).collect() };
    let mut faults = Vec::new();
    for page in &pages {
        eprintln!("\n==> browser: {}", page.display());
        for fault in look_at(&program, page, Path::new(OUT))? {
            faults.push(format!("{}: {fault}", page.display()));
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    eprintln!("==> screenshots and prints are in {OUT}");
    Ok(())
}

/// The page of the demonstration, and the report on its test fields, which is written now.
fn demonstration() -> Result<Vec<PathBuf>> {
    let page = PathBuf::from("demo/index.html");
    ensure!(page.is_file(), "{} is not there; `cargo run --release -- demo` writes it", page.display());
    let evaluate = ["evaluate", "demo/fields", "--model", "demo/run", "--out", "demo/report"];
    step("cargo", &[&["run", "--release", "--quiet", "--"], &evaluate[..]].concat(), &[])?;
    Ok(vec![page, "demo/report/report.html".into()])
}

/// Opens a page on every screen, takes pictures of it, prints it, and gives what is wrong with it.
fn look_at(program: &Path, page: &Path, out: &Path) -> Result<Vec<String>> {
    let full = page.canonicalize().with_context(|| format!("{} is not there", page.display()))?;
    std::fs::create_dir_all(out)?;
    let profile = out.join("profile");
    if profile.exists() {
        std::fs::remove_dir_all(&profile)?;
    }
    std::fs::create_dir_all(&profile)?;
    let mut browser = Chromium::start(program, &profile.canonicalize()?)?;
    let name = page.file_stem().unwrap_or_default().to_string_lossy();
    let mut faults = Vec::new();
    for screen in &SCREENS {
        set_screen(&mut browser, screen)?;
        browser.take_events();
        browser.ask("Page.navigate", &json!({ "url": format!("file://{}", full.display()) }))?;
        browser.wait_for("Page.loadEventFired")?;
        let found = faults_on(&mut browser, screen)?;
        faults.extend(found.into_iter().map(|fault| format!("{} screen: {fault}", screen.name)));
        let picture = json!({ "format": "png", "captureBeyondViewport": true });
        save(
            &browser.ask("Page.captureScreenshot", &picture)?,
            &out.join(format!("{name}-{}.png", screen.name)),
        )?;
    }
    let print = json!({ "printBackground": false, "preferCSSPageSize": true });
    save(&browser.ask("Page.printToPDF", &print)?, &out.join(format!("{name}.pdf")))?;
    Ok(faults)
}

fn set_screen(browser: &mut Chromium, screen: &Screen) -> Result<()> {
    let metrics = json!({
        "width": screen.width, "height": 900, "deviceScaleFactor": 1, "mobile": false,
    });
    browser.ask("Emulation.setDeviceMetricsOverride", &metrics)?;
    let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": screen.scheme }] });
    browser.ask("Emulation.setEmulatedMedia", &media)?;
    Ok(())
}

/// What a loaded page tells of itself: pictures without pixels, the width of its content, links to nowhere.
const INQUIRY: &str = "(async () => {
  await Promise.allSettled([...document.images].map((image) => image.decode()));
  const empty = [...document.images].filter((image) => image.naturalWidth === 0).map((image) => image.alt || image.src);
  const lost = [...document.querySelectorAll('a[href^=\"#\"]')].map((link) => link.hash.slice(1))
    .filter((id) => !document.getElementById(id));
  return { images: document.images.length, empty, lost, width: document.documentElement.scrollWidth };
})()";

fn faults_on(browser: &mut Chromium, screen: &Screen) -> Result<Vec<String>> {
    let inquiry = json!({ "expression": INQUIRY, "awaitPromise": true, "returnByValue": true });
    let answer = browser.ask("Runtime.evaluate", &inquiry)?["result"]["value"].clone();
    let mut faults: Vec<String> = browser.take_events().iter().filter_map(reported).collect();
    let texts = |key: &str| -> Vec<String> {
        let values = answer[key].as_array().into_iter().flatten();
        values.map(|value| value.as_str().unwrap_or_default().chars().take(120).collect()).collect()
    };
    faults.extend(texts("empty").into_iter().map(|image| format!("a picture does not load: {image}")));
    faults.extend(texts("lost").into_iter().map(|id| format!("a link leads to #{id}, which is not there")));
    let width = answer["width"].as_u64().context("the page did not tell its width")?;
    if width > u64::from(screen.width) {
        faults.push(format!("the page is {width} pixels wide in a window of {}", screen.width));
    }
    eprintln!("{}: {} pictures, {} faults", screen.name, answer["images"], faults.len());
    Ok(faults)
}

/// The fault that an event reports, if it does.
fn reported(event: &Value) -> Option<String> {
    let parameters = &event["params"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => {
            let details = &parameters["exceptionDetails"];
            let text = details["exception"]["description"].as_str().or(details["text"].as_str());
            Some(format!("a script failed: {}", text.unwrap_or_default()))
        }
        "Runtime.consoleAPICalled"
            if ["error", "warning", "assert"].contains(&parameters["type"].as_str()?) =>
        {
            let first = &parameters["args"][0];
            Some(format!("the console has: {}", first["value"].as_str().unwrap_or_default()))
        }
        "Log.entryAdded" if ["error", "warning"].contains(&parameters["entry"]["level"].as_str()?) => Some(
            format!("the browser complains: {}", parameters["entry"]["text"].as_str().unwrap_or_default()),
        ),
        "Network.requestWillBeSent" => {
            let url = parameters["request"]["url"].as_str()?;
            (url.starts_with("http"))
                .then(|| format!("it asks for {url}, but a page must be whole without a network"))
        }
        _ => None,
    }
}

/// Writes the data of an answer, which are in base64.
fn save(answer: &Value, path: &Path) -> Result<()> {
    let data = answer["data"].as_str().context("the browser gave no picture")?;
    std::fs::write(path, STANDARD.decode(data)?)
        .with_context(|| format!("could not write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The faults of a page with this content.
    fn faults_of(body: &str) -> Option<Vec<String>> {
        let Some(program) = chromium::find() else {
            eprintln!("skipped: no Chromium is installed");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("page.html");
        let html = format!(
            "<!doctype html><html lang=en><meta charset=utf-8><title>t</title><body>{body}</body></html>"
        );
        std::fs::write(&page, html).unwrap();
        Some(look_at(&program, &page, &folder.path().join("out")).unwrap())
    }

    #[test]
    fn every_kind_of_fault_is_found_and_a_sound_page_has_none() {
        let pixel = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
        let cases = [
            (format!("<h1 id=a>all is well</h1><a href='#a'>up</a><img alt=dot src='{pixel}'>"), ""),
            ("<img alt=gone src='data:image/png;base64,AAAA'>".to_owned(), "a picture does not load: gone"),
            ("<img alt=lost src='nowhere.png'>".to_owned(), "a picture does not load: lost"),
            ("<script>nothing.there()</script>".to_owned(), "nothing is not defined"),
            ("<script>console.error('oh no')</script>".to_owned(), "the console has: oh no"),
            ("<a href='#b'>down</a>".to_owned(), "a link leads to #b"),
            ("<div style='width: 2000px'>wide</div>".to_owned(), "pixels wide in a window of 390"),
            ("<img alt=far src='http://127.0.0.1:9/x.png'>".to_owned(), "without a network"),
        ];
        for (body, expected) in cases {
            let Some(faults) = faults_of(&body) else { return };
            let found = faults.join("\n");
            assert!(
                if expected.is_empty() { found.is_empty() } else { found.contains(expected) },
                "{body}: {found}"
            );
        }
    }
}
