"""Reads every file that `locam locate --write all` wrote with libraries that others write, and compares it with the JSON of
each image.

    read_back.py FOUND_FOLDER MODEL_JSON
"""

import csv
import json
import sys
import uuid
from pathlib import Path

import numpy
import tifffile
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from shapely.geometry import Point, Polygon, shape


def check(condition, *what):
    if not condition:
        sys.exit("read back: " + " ".join(str(part) for part in what))


def records(found):
    return {path.stem: json.loads(path.read_text()) for path in sorted((found / "json").glob("*.json"))}


def read_csv(found, images):
    with open(found / "regions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    by_place = {(row["image"], int(row["number"])): row for row in rows}
    check(len(by_place) == len(rows), "regions.csv names a region twice")
    check(len(rows) == sum(len(image["regions"]) for image in images.values()), "regions.csv has other rows")
    for image in images.values():
        for region in image["regions"]:
            row = by_place[image["image"], region["number"]]
            flat = {"class": region["class"], "at_border": str(region["at_border"]).lower()}
            check(all(row[name] == value for name, value in flat.items()), row)
            numbers = {name: region[name] for name in ("score", "probability", "area")} | region["rect"]
            numbers |= {f"{name}_{axis}": region[name][axis] for name in ("peak", "centroid") for axis in "xy"}
            check(all(float(row[name]) == value for name, value in numbers.items()), row, numbers)


def read_geojson(path, image):
    collection = json.loads(path.read_text())
    check(collection["type"] == "FeatureCollection", path)
    features = collection["features"]
    check(len(features) == len(image["regions"]), path, "has other features")
    check(len({uuid.UUID(feature["id"]) for feature in features}) == len(features), path, "identifiers repeat")
    for feature, region in zip(features, image["regions"]):
        polygon = shape(feature["geometry"])
        check(polygon.is_valid and polygon.area > 0, path, region["number"], "is no valid polygon")
        check([list(corner) for corner in polygon.exterior.coords[:-1]] == region["outline"], path, "outline")
        properties = feature["properties"]
        check(properties["objectType"] == "detection", path)
        check(properties["classification"]["name"] == region["class"], path)
        color = properties["classification"]["color"]
        check(len(color) == 3 and all(0 <= value <= 255 for value in color), path, color)
        measurements = properties["measurements"]
        check(all(isinstance(value, (int, float)) for value in measurements.values()), path)
        check(all(measurements[name] == region[name] for name in ("number", "score", "probability", "area")), path)


def read_coco(found, images, classes):
    truth = COCO(str(found / "coco.json"))
    results = truth.loadRes(str(found / "coco-results.json"))
    check([category["name"] for category in truth.loadCats(truth.getCatIds())] == classes, "coco.json: categories")
    by_name = {image["image"]: image for image in images.values()}
    check(len(truth.imgs) == len(images), "coco.json: images")
    for identifier, entry in truth.imgs.items():
        image = by_name[entry["file_name"]]
        check((entry["width"], entry["height"]) == (image["size"]["width"], image["size"]["height"]), entry)
        for annotations in (truth, results):
            found_here = annotations.loadAnns(annotations.getAnnIds(imgIds=[identifier]))
            check(len(found_here) == len(image["regions"]), "coco: annotations of", entry["file_name"])
            for annotation, region in zip(found_here, image["regions"]):
                left, top, width, height = annotation["bbox"]
                box = region["rect"]
                edges = (box["left"], box["top"], box["right"] - left, box["bottom"] - top)
                check(numpy.allclose((left, top, width, height), edges, atol=0.01), annotation["bbox"], box)
                check(classes[annotation["category_id"] - 1] == region["class"], annotation)
                check(annotation["score"] == region["probability"], annotation)
                inside = annotations.annToMask(annotation).sum()
                polygon = Polygon(region["outline"])
                check(abs(inside - polygon.area) <= polygon.length + 4, "coco: mask of", inside, polygon.area)
    # The evaluation looks at the 100 surest of an image.
    if max(len(image["regions"]) for image in images.values()) > 100:
        return
    evaluation = COCOeval(truth, results, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    check(evaluation.stats[0] > 0.999, "coco: results do not match the data set of the same run")


def read_yolo(found, name, image, classes):
    check((found / "yolo" / "classes.txt").read_text().splitlines() == classes, "yolo: classes.txt")
    lines = (found / "yolo" / "labels" / f"{name}.txt").read_text().splitlines()
    check(len(lines) == len(image["regions"]), "yolo:", name)
    width, height = image["size"]["width"], image["size"]["height"]
    for line, region in zip(lines, image["regions"]):
        class_number, x, y, w, h, probability = line.split()
        box = region["rect"]
        left, right = (min(max(box[edge], 0), width) for edge in ("left", "right"))
        top, bottom = (min(max(box[edge], 0), height) for edge in ("top", "bottom"))
        there = ((left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height)
        check(numpy.allclose([float(value) for value in (x, y, w, h)], there, atol=2e-6), line, there)
        check(classes[int(class_number)] == region["class"] and float(probability) == region["probability"], line)


def read_masks(found, name, image):
    mask = numpy.asarray(Image.open(found / "masks" / f"{name}.png"))
    from_tiff = tifffile.imread(found / "tiff-masks" / f"{name}.tif")
    check(mask.shape == (image["size"]["height"], image["size"]["width"]), "masks:", name, mask.shape)
    check(numpy.array_equal(mask, from_tiff), "masks:", name, "PNG and TIFF differ")
    regions = image["regions"]
    check(set(numpy.unique(mask)) <= set(range(len(regions) + 1)), "masks:", name, "unknown numbers")
    polygons = [Polygon(region["outline"]) for region in regions]
    for region, polygon in zip(regions, polygons):
        others = [other for other in polygons if other is not polygon and other.intersects(polygon)]
        covered = int((mask == region["number"]).sum())
        alone = polygon.area - sum(polygon.intersection(other).area for other in others)
        slack = polygon.length + 4
        check(alone - slack <= covered <= polygon.area + slack, "masks:", name, region["number"], covered)
        inside = polygon.representative_point()
        row, column = int(inside.y), int(inside.x)
        if not others and polygon.contains(Point(column + 0.5, row + 0.5)):
            check(mask[row, column] == region["number"], "masks:", name, region["number"], "is elsewhere")


def read_pictures(found, name, image, sought):
    for folder in ("overlays", "panels"):
        for class_name in sought:
            picture = Image.open(found / folder / f"{name}-{class_name}.png")
            picture.load()
            check(picture.mode == "RGB" and min(picture.size) > 100, picture)
    sheet = Image.open(found / "sheets" / f"{name}.png")
    sheet.load()
    check(sheet.width > 200, sheet)


def main():
    found, model = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    classes = [entry["name"] for entry in model["classes"]]
    sought = [entry["name"] for entry in model["classes"] if not entry["background"]]
    images = records(found)
    check(images and sum(len(image["regions"]) for image in images.values()) > 0, "nothing was found")
    read_csv(found, images)
    read_coco(found, images, classes)
    for name, image in images.items():
        read_geojson(found / "geojson" / f"{name}.geojson", image)
        read_yolo(found, name, image, classes)
        maps = numpy.load(found / "maps" / f"{name}.npy")
        check(maps.dtype == numpy.float32 and maps.ndim == 3 and len(maps) == len(classes), "maps:", name, maps.shape)
        check(numpy.isfinite(maps).all(), "maps:", name)
        read_masks(found, name, image)
        read_pictures(found, name, image, sought)
    lines = [json.loads(line) for line in (found / "run.jsonl").read_text().splitlines()]
    check(len(lines) == 1 + len(images), "run.jsonl")
    total = sum(len(image["regions"]) for image in images.values())
    print(f"{len(images)} images with {total} regions were read back from every file")


main()
