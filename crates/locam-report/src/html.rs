use crate::ReportError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use minijinja::value::Serde;
use minijinja::{Environment, Value};
use serde::Serialize;

/// Photographs with heat maps keep their small text at this quality, and take a tenth of what they would as PNG.
const JPEG_QUALITY: u8 = 90;

/// A page that is one file: pictures, curves and styles are inside, so that it can be sent and kept.
///
/// All texts are plain text; what means something in HTML is escaped.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Heading and window title.
    pub title: String,
    /// One paragraph below the heading.
    pub intro: String,
    /// The figures that matter most, shown large.
    pub figures: Vec<Figure>,
    /// The rest, in order.
    pub sections: Vec<Section>,
    /// A line at the end: version, seed, date.
    pub footer: String,
}

/// A figure and what it says.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figure {
    /// What it is, e.g. `white cells found`.
    pub label: String,
    /// E.g. `71 of 72`.
    pub value: String,
    /// A small line below, e.g. its interval; empty for none.
    pub note: String,
}

/// A part of a page under its own heading.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// The heading.
    pub title: String,
    /// What stands below it, in order.
    pub blocks: Vec<Block>,
}

/// A piece of a section.
#[derive(Clone, Debug)]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// A paragraph that must not be overlooked.
    Warning(String),
    /// A list of sentences.
    List(Vec<String>),
    /// Plots, side by side where there is room.
    Drawings(Vec<Drawing>),
    /// A picture as wide as the page.
    Picture(Picture),
    /// Small pictures, side by side.
    Gallery(Vec<Picture>),
    /// A table.
    Table(Table),
}

/// A plot and what it shows.
#[derive(Clone, Debug, Serialize)]
pub struct Drawing {
    /// The text beneath.
    pub caption: String,
    /// An SVG document as [`crate::training_curves`] makes them. It goes into the page as it is: never put in what a
    /// user wrote.
    pub svg: String,
}

/// A picture and what it shows.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The text beneath, which also stands in for the picture where it can't be seen.
    pub caption: String,
    /// The picture.
    pub image: RgbImage,
}

/// A table; columns whose cells are all numbers are set to the right.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Above it; empty for none.
    pub caption: String,
    /// The headings of its columns.
    pub columns: Vec<String>,
    /// One cell per column in each row.
    pub rows: Vec<Vec<String>>,
}

#[derive(Serialize)]
struct PageView<'a> {
    title: &'a str,
    intro: &'a str,
    figures: &'a [Figure],
    sections: Vec<SectionView<'a>>,
    footer: &'a str,
}

#[derive(Serialize)]
struct SectionView<'a> {
    title: &'a str,
    blocks: Vec<BlockView<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "kind", content = "content", rename_all = "lowercase")]
enum BlockView<'a> {
    Text(&'a str),
    Warning(&'a str),
    List(&'a [String]),
    Drawings(&'a [Drawing]),
    Picture(PictureView<'a>),
    Gallery(Vec<PictureView<'a>>),
    Table(TableView<'a>),
}

#[derive(Serialize)]
struct PictureView<'a> {
    caption: &'a str,
    source: String,
    width: u32,
    height: u32,
}

#[derive(Serialize)]
struct TableView<'a> {
    caption: &'a str,
    columns: Vec<Cell<'a>>,
    rows: Vec<Vec<Cell<'a>>>,
}

#[derive(Serialize)]
struct Cell<'a> {
    text: &'a str,
    numeric: bool,
}

impl Page {
    /// The page as HTML.
    ///
    /// # Errors
    /// When a picture can't be encoded.
    pub fn render(&self) -> Result<String, ReportError> {
        let failed = |reason: String| ReportError::Page { title: self.title.clone(), reason };
        let sections: Vec<SectionView> = self
            .sections
            .iter()
            .map(section_view)
            .collect::<Result<_, _>>()
            .map_err(|error| failed(error.to_string()))?;
        let mut environment = Environment::new();
        // Escaping follows from the template's name.
        environment
            .add_template("page.html", include_str!("page.html"))
            .and_then(|()| environment.get_template("page.html"))
            .and_then(|template| {
                template.render(Value::from(Serde(PageView {
                    title: &self.title,
                    intro: &self.intro,
                    figures: &self.figures,
                    sections,
                    footer: &self.footer,
                })))
            })
            .map_err(|error| failed(format!("{error:#}")))
    }
}

fn section_view(section: &Section) -> image::ImageResult<SectionView<'_>> {
    let blocks = section.blocks.iter().map(block_view).collect::<Result<_, _>>()?;
    Ok(SectionView { title: &section.title, blocks })
}

fn block_view(block: &Block) -> image::ImageResult<BlockView<'_>> {
    Ok(match block {
        Block::Text(text) => BlockView::Text(text),
        Block::Warning(text) => BlockView::Warning(text),
        Block::List(items) => BlockView::List(items),
        Block::Drawings(drawings) => BlockView::Drawings(drawings),
        Block::Picture(picture) => BlockView::Picture(picture_view(picture)?),
        Block::Gallery(pictures) => {
            BlockView::Gallery(pictures.iter().map(picture_view).collect::<Result<_, _>>()?)
        }
        Block::Table(table) => BlockView::Table(table_view(table)),
    })
}

fn picture_view(picture: &Picture) -> image::ImageResult<PictureView<'_>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY).encode_image(&picture.image)?;
    let source = format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes));
    let (width, height) = picture.image.dimensions();
    Ok(PictureView { caption: &picture.caption, source, width, height })
}

fn table_view(table: &Table) -> TableView<'_> {
    let numeric: Vec<bool> = (0..table.columns.len())
        .map(|column| {
            !table.rows.is_empty()
                && table.rows.iter().all(|row| row.get(column).is_some_and(|cell| is_number(cell)))
        })
        .collect();
    TableView {
        caption: &table.caption,
        columns: cells_of(&table.columns, &numeric),
        rows: table.rows.iter().map(|row| cells_of(row, &numeric)).collect(),
    }
}

fn cells_of<'a>(texts: &'a [String], numeric: &[bool]) -> Vec<Cell<'a>> {
    let numeric = numeric.iter().copied().chain(std::iter::repeat(false));
    texts.iter().zip(numeric).map(|(text, numeric)| Cell { text, numeric }).collect()
}

/// Whether a cell is a number or the mark for none.
fn is_number(text: &str) -> bool {
    let plain = text.trim_end_matches(['%', ' ']).replace('\u{2212}', "-");
    matches!(plain.as_str(), "" | "-" | "\u{2013}") || plain.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn picture(caption: &str) -> Picture {
        Picture { caption: caption.to_owned(), image: RgbImage::from_pixel(4, 2, Rgb([9; 3])) }
    }

    fn page() -> Page {
        let hostile = "<script>alert('x')</script> & \"more\"".to_owned();
        Page {
            title: hostile.clone(),
            intro: hostile.clone(),
            figures: vec![Figure { label: hostile.clone(), value: hostile.clone(), note: hostile.clone() }],
            sections: vec![Section {
                title: hostile.clone(),
                blocks: vec![
                    Block::Text(hostile.clone()),
                    Block::Warning(hostile.clone()),
                    Block::List(vec![hostile.clone()]),
                    Block::Drawings(vec![Drawing {
                        caption: hostile.clone(),
                        svg: "<svg id=\"curve\"></svg>".to_owned(),
                    }]),
                    Block::Picture(picture(&hostile)),
                    Block::Gallery(vec![picture(&hostile)]),
                    Block::Table(Table {
                        caption: hostile.clone(),
                        columns: vec![hostile.clone(), "x".to_owned()],
                        rows: vec![vec![hostile.clone(), "\u{2212}1.5".to_owned()]],
                    }),
                ],
            }],
            footer: hostile,
        }
    }

    #[test]
    fn texts_are_escaped_and_drawings_are_not() {
        let html = page().render().unwrap();
        assert!(!html.contains("<script"), "{html}");
        assert_eq!(html.matches("&lt;script&gt;").count(), 19, "{html}");
        assert!(html.contains("<svg id=\"curve\"></svg>"));
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let html = page().render().unwrap();
        assert!(html.starts_with("<!doctype html>") && html.contains("src=\"data:image/jpeg;base64,/9j/"));
        assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("<link"));
        assert!(html.contains("width=\"4\" height=\"2\""));
    }

    #[test]
    fn columns_of_numbers_are_told_from_columns_of_words() {
        assert!(is_number("\u{2212}1.5") && is_number("97.4 %") && is_number("\u{2013}"));
        assert!(!is_number("white cell") && !is_number("12 of 13"));
        let html = page().render().unwrap();
        assert_eq!(html.matches("class=\"number\"").count(), 2, "{html}");
    }
}
