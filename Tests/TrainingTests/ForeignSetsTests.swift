// Data sets as tools export them: origins of pixels, orders of classes, names in tables of their own, and splits.

import Foundation
import GraftImages
import Testing

@testable import GraftTraining

@Suite final class ForeignSetsTests {
    private let drawn = DrawnSet()
    private var root: String { drawn.root }

    private func write(_ text: String, _ name: String) throws { try drawn.write(text, to: name) }

    private func draw(_ names: String...) throws { try drawn.draw(names) }

    private func voc(_ label: String, _ left: Int) -> String {
        """
        <annotation><filename>a.png</filename><size><width>20</width><height>10</height></size>
        <object><name>\(label)</name><bndbox><xmin>\(left)</xmin><ymin>2</ymin><xmax>9</xmax>
        <ymax>8</ymax></bndbox></object></annotation>
        """
    }

    @Test func theFirstPixelOfVOCIsSaidAndChosen() throws {
        try draw("JPEGImages/a.png")
        try write(voc("cat", 3), "Annotations/a.xml")
        func read(_ first: Int?) throws -> (left: Double?, notes: [String]) {
            var reading = PhotoReading()
            reading.firstPixel = first
            let set = try AnnotatedImages.read(root, reading)
            return (set.images[0].annotations.first?.box?.left, set.notes)
        }
        let usual = try read(nil)
        #expect(usual.left == 2 && usual.notes.contains { $0.contains("--first-pixel 0") })
        #expect(try read(0).left == 3 && read(0).notes.isEmpty)
        #expect(try read(1).left == 2 && read(1).notes.isEmpty)
        try write(voc("cat", 0), "Annotations/a.xml")
        let zero = try read(nil)
        #expect(zero.left == 0 && zero.notes.contains { $0.contains("--first-pixel 1") })
        #expect(try read(1).left == -1)
    }

    @Test func classesKeepTheOrderOfCVATsLists() throws {
        try draw("JPEGImages/a.png")
        try write(voc("cat", 3), "Annotations/a.xml")
        try write(
            "# label:color_rgb:parts:actions\nbackground:0,0,0::\nzebra:1,2,3::\nant:4,5,6::\n",
            "labelmap.txt")
        let set = try AnnotatedImages.read(root)
        #expect(set.classes == ["zebra", "ant", "cat"])
        try write(
            """
            <annotations><meta><task><labels><label><name>zebra</name></label><label><name>ant</name>
            </label></labels></task></meta><image name="a.png" width="20" height="10">
            <box label="ant" xtl="1" ytl="2" xbr="5" ybr="6"/></image></annotations>
            """, "cvat/annotations.xml")
        try draw("cvat/a.png")
        let cvat = try AnnotatedImages.read(root + "/cvat")
        #expect(cvat.classes == ["zebra", "ant"])
        #expect(cvat.images[0].annotations[0].box?.left == 1)
    }

    @Test func openImages() throws {
        try draw("images/00a.png", "images/00b.png")
        try write(
            """
            ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf
            00a,xclick,/m/01yrx,1,0.1,0.5,0.2,0.8,0,1,0
            00b,xclick,/m/0bt9lr,1,0,1,0,1,0,0,1
            """, "train-annotations-bbox.csv")
        let plain = try AnnotatedImages.read(root)
        #expect(plain.notes.contains { $0.contains("class-descriptions-boxable.csv") })
        try write("/m/01yrx,Cat\n/m/0bt9lr,\"Dog, large\"\n", "class-descriptions-boxable.csv")
        let set = try AnnotatedImages.read(root)
        let found = set.images.flatMap(\.annotations)
        #expect(found.map(\.label) == ["Cat", "Dog, large"])
        #expect(found[0].isTruncated && !found[0].isCrowd && found[1].isCrowd)
        #expect(found[0].box.map { [$0.left, $0.right, $0.top, $0.bottom] } == [2, 10, 2, 8])
    }

    @Test func tablesOfSplitsAreOneSet() throws {
        try draw("a.png", "b.png", "c.png")
        try write("path,label\na.png,cat\n", "train.csv")
        try write("path,label\nb.png,dog\n", "val.csv")
        // As Kaggle has it: without labels.
        try write("path\nc.png\n", "test.csv")
        let photos = try PhotoFolder.open(root)
        #expect(photos.classes == ["cat", "dog"])
        #expect(photos.items.map(\.split) == [.training, .validation])
        try write("path,label\nc.png,dog\n", "test.csv")
        #expect(try PhotoFolder.open(root).only(.test).items.count == 1)
    }

    @Test func tablesOfBoxesWithoutNamesOfColumns() throws {
        try draw("a.png", "b.png")
        try write("a.png,1,2,5,6,cat\nb.png,,,,,\na.png,3,3,9,9,dog\n", "annotations.csv")
        let set = try AnnotatedImages.read(root + "/annotations.csv")
        #expect(set.images.map(\.annotations.count) == [2, 0])
        #expect(set.images[0].annotations[1].box == Box(left: 3, top: 3, right: 9, bottom: 9))
        #expect(set.notes.contains { $0.contains("has no names of columns") })
    }

    @Test func listsOfEveryYearOfADevkit() throws {
        for year in ["VOC2007", "VOC2012"] {
            let base = "VOCdevkit/\(year)"
            try draw("\(base)/JPEGImages/a.png")
            try write(voc("cat", 3), "\(base)/Annotations/a.xml")
            let list = year == "VOC2007" ? "test" : "train"
            try write("a\n", "\(base)/ImageSets/Main/\(list).txt")
        }
        let set = try AnnotatedImages.read(root)
        #expect(set.images.map(\.split) == [.test, .training])
        #expect(Set(set.images.map(\.path)).count == 2)
    }

    @Test func labelStudioInATable() throws {
        try draw("images/a.png")
        let value = #"{""x"":10,""y"":20,""width"":50,""height"":30,""rotation"":0"#
        try write(
            "image,id,label\n/data/local-files/?d=images%5Ca.png,1,"
                + "\"[\(value),\"\"rectanglelabels\"\":[\"\"cat\"\"],\"\"original_width\"\":20,"
                + "\"\"original_height\"\":10}]\"\n", "project.csv")
        let found = try AnnotatedImages.read(root).images
        #expect(found.count == 1 && found.first?.isMissing == false)
        let annotation = try #require(found.first?.annotations.first)
        #expect(annotation.label == "cat")
        #expect(annotation.box == Box(left: 2, top: 2, right: 12, bottom: 5))
    }

    @Test func superviselyAndDatumaro() throws {
        try draw("s/train/img/a.png", "d/images/train/b.png")
        try write(#"{"classes": [{"title": "cat"}]}"#, "s/meta.json")
        try write(
            """
            {"size": {"width": 20, "height": 10}, "tags": [{"name": "day"}], "objects": [
             {"classTitle": "cat", "geometryType": "rectangle",
              "points": {"exterior": [[9, 8], [1, 2]], "interior": []}},
             {"classTitle": "dog", "geometryType": "polygon",
              "points": {"exterior": [[1, 1], [5, 1], [3, 4]], "interior": []}},
             {"classTitle": "x", "geometryType": "cuboid", "points": {}}]}
            """, "s/train/ann/a.png.json")
        let supervisely = try AnnotatedImages.read(root + "/s")
        let found = supervisely.images[0].annotations
        #expect(supervisely.format == "Supervisely" && found.map(\.label) == ["day", "cat", "dog"])
        #expect(found[1].box == Box(left: 1, top: 2, right: 9, bottom: 8))
        #expect(found[2].polygons.count == 1 && supervisely.omissions.count(of: .unsupported) == 1)
        try write(
            """
            {"categories": {"label": {"labels": [{"name": "zebra"}, {"name": "ant"}]}}, "items": [
             {"id": "b", "image": {"path": "b.png", "size": [10, 20]}, "annotations": [
              {"type": "bbox", "label_id": 1, "bbox": [1, 2, 3, 4]},
              {"type": "bbox", "label_id": 7, "bbox": [1, 2, 3, 4]}]}]}
            """, "d/annotations/train.json")
        let datumaro = try AnnotatedImages.read(root + "/d")
        #expect(datumaro.classes == ["zebra", "ant"])
        #expect(datumaro.images[0].annotations.map(\.label) == ["ant"])
        #expect(!datumaro.images[0].isMissing && datumaro.omissions.count(of: .unknownClass) == 1)
    }

    @Test func classFoldersHaveNoBoxes() throws {
        try draw("cat/1.png", "dog/1.png")
        do {
            _ = try PhotoFolder.open(root, PhotoReading(task: .detection))
            Issue.record("nothing was thrown")
        } catch let error as PhotoFolderError {
            #expect(error.hint?.contains("data.yaml") == true)
        }
    }
}
