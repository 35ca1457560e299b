//! Fields with red cells, known by a point each, of three sources that have nothing in common: BCCD, Chula and generated smears. All
//! are brought to one scale, at which red cells are about 60 pixels wide, and lie in `OUT/SET/train`, `val` and `test` as PNG images
//! beside text files of `x y red-cell`.
//!
//! ```text
//! cargo run --release -p locam-data --example red_cell_fields -- ../shared/data fields
//! ```

use locam_core::{Point, Size};
use locam_data::{Dataset, Label, OpenOptions, SmearConfig, Split, StainPreset, generate, read_rgb, resize};
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

/// How wide red cells are in what is written.
const DIAMETER: f64 = 60.0;
/// How wide they are in BCCD, in Chula, and in generated smears at a cell scale of 1.
const BCCD_DIAMETER: f64 = 105.0;
const CHULA_DIAMETER: f64 = 40.0;
const GENERATED_DIAMETER: f64 = 75.0;
/// One of so many of BCCD's fields is taken, so that no set outweighs the others.
const BCCD_RARITY: usize = 5;
/// Chula's fields with fewer marked cells mark only some of them.
const FULLY_MARKED: usize = 70;
/// The parts that fields of Chula, and generated ones, come to in turn.
const SPLITS: [&str; 3] = ["train", "test", "val"];
const GENERATED_SIZE: Size = Size::new(640, 480);
/// The first seed of generated fields.
const SEED: u64 = 7101;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, out] = arguments.as_slice() else {
        return Err("usage: red_cell_fields DATA OUT".into());
    };
    let (data, out) = (Path::new(data), Path::new(out));

    let bccd = marked(&data.join("bccd/BCCD"), Some("RBC"))?;
    for field in bccd.iter().filter(|field| field.split != Some(Split::Test)).step_by(BCCD_RARITY) {
        let split = if field.split == Some(Split::Val) { "val" } else { "train" };
        write_scaled(&out.join("bccd").join(split), field, DIAMETER / BCCD_DIAMETER)?;
    }
    let chula = marked(&data.join("chula-rbc"), None)?;
    let full = chula.iter().filter(|field| field.cells.len() >= FULLY_MARKED);
    for (field, split) in full.zip(SPLITS.into_iter().cycle()) {
        write_scaled(&out.join("chula").join(split), field, DIAMETER / CHULA_DIAMETER)?;
    }
    for (stain, seed) in StainPreset::ALL.into_iter().zip((SEED..).step_by(SPLITS.len())) {
        for (split, seed) in SPLITS.into_iter().zip(seed..) {
            let cell_scale = DIAMETER / GENERATED_DIAMETER;
            let smear =
                generate(&SmearConfig { stain, cell_scale, ..SmearConfig::new(GENERATED_SIZE, seed) });
            let folder = out.join("generated").join(split);
            write(&folder, &format!("smear-{seed}"), &smear.image, &smear.red_cells)?;
        }
    }
    Ok(())
}

/// A field and the middles of its red cells.
struct Field {
    path: std::path::PathBuf,
    split: Option<Split>,
    cells: Vec<Point>,
}

/// The fields of a data set, with the objects of one class or, where all are red cells, of all.
fn marked(folder: &Path, class: Option<&str>) -> Result<Vec<Field>, Box<dyn Error>> {
    let data = Dataset::open(folder, &OpenOptions::default())?;
    let class = class.map(|name| data.class_named(name)).transpose()?;
    let mut fields = Vec::new();
    for item in data.items {
        let Label::Objects(objects) = item.label else { continue };
        let red = objects.iter().filter(|object| class.is_none_or(|class| object.class == class));
        let cells = red.map(|object| object.shape.center()).collect();
        fields.push(Field { path: item.path, split: item.split, cells });
    }
    Ok(fields)
}

fn write_scaled(folder: &Path, field: &Field, scale: f64) -> Result<(), Box<dyn Error>> {
    let image = read_rgb(&field.path)?;
    let scaled = |side: u32| (f64::from(side) * scale).round() as u32;
    let size = Size::new(scaled(image.width()), scaled(image.height()));
    let cells: Vec<Point> =
        field.cells.iter().map(|cell| Point::new(cell.x * scale, cell.y * scale)).collect();
    let name = field.path.file_stem().unwrap_or_default().to_string_lossy();
    write(folder, &name, &resize(&image, size)?, &cells)
}

fn write(folder: &Path, name: &str, image: &image::RgbImage, cells: &[Point]) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    image.save(folder.join(format!("{name}.png")))?;
    let mut lines = String::new();
    for cell in cells {
        writeln!(lines, "{:.1} {:.1} red-cell", cell.x, cell.y)?;
    }
    std::fs::write(folder.join(format!("{name}.txt")), lines)?;
    Ok(())
}
