// Data sets written in each format and read back: the same objects, or a count of what is missing.

import Foundation
import GraftImages
import OrderedCollections
import Testing

@testable import GraftTraining

/// A folder with a few images, and a set of annotations of them.
private final class Scene {
    let folder = FileManager.default.temporaryDirectory
        .appending(path: "graft-writer-\(UUID().uuidString)").path
    var set = AnnotatedImages()

    init(images: Int = 4) throws {
        try FileManager.default.createDirectory(
            atPath: folder + "/in", withIntermediateDirectories: true)
        set.classes = ["zebra", "ant", "unseen"]
        for index in 0..<images {
            let path = folder + "/in/\(index).png"
            try Image(width: 80, height: 60, color: Color(UInt8(index), 9, 9)).writePNG(to: path)
            var image = AnnotatedImage(path: path, name: "\(index).png")
            (image.width, image.height) = (80, 60)
            set.images.append(image)
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func path(_ name: String) -> String { folder + "/" + name }

    func annotate(
        _ image: Int, _ label: String, _ box: Box? = nil,
        _ change: (inout Annotation) -> Void = { _ in }
    ) {
        var annotation = Annotation(label: label, box: box)
        change(&annotation)
        set.images[image].annotations.append(annotation)
    }

    /// The boxes of a set by image and class, rounded to what 32 bits tell apart.
    static func boxes(_ set: AnnotatedImages) -> [String: [String]] {
        var result: [String: [String]] = [:]
        for image in set.images {
            let name = image.name.split(separator: "/").last.map(String.init) ?? ""
            result[name] = image.annotations.compactMap { annotation in
                annotation.boundingBox.map { box in
                    let sides = [box.left, box.top, box.right, box.bottom]
                    return annotation.label
                        + sides.map { " \(($0 * 1e6).rounded() / 1e6)" }.joined()
                }
            }.sorted()
        }
        return result
    }
}

@Suite struct DataSetWriterTests {
    private static let boxed: [DataSetFormat] = [
        .csv, .coco, .yolo, .voc, .createml, .labelstudio,
    ]

    @Test(arguments: boxed) func boxesAndSplitsComeBack(_ format: DataSetFormat) throws {
        let scene = try Scene()
        scene.annotate(0, "zebra", Box(left: 3, top: 4, right: 40.25, bottom: 50))
        scene.annotate(0, "ant", Box(left: 0, top: 0, right: 80, bottom: 60))
        scene.annotate(1, "ant", Box(left: 70, top: 10.5, right: 79, bottom: 20))
        scene.annotate(3, "zebra", Box(left: 1, top: 1, right: 9, bottom: 9))
        for (index, split) in [DataSplit.training, .training, .validation, .test].enumerated() {
            scene.set.images[index].split = split
        }
        let written = try scene.set.write(to: scene.path("out"), as: format)
        #expect(written.imageCount == 4 && written.annotationCount == 4)
        #expect(written.splits == [.training: 2, .validation: 1, .test: 1])
        let back = try AnnotatedImages.read(scene.path("out"))
        #expect(Scene.boxes(back) == Scene.boxes(scene.set))
        let splits = back.images.reduce(into: [:]) { $0[$1.split, default: 0] += 1 }
        #expect(splits == [.training: 2, .validation: 1, .test: 1])
        #expect(
            back.images.allSatisfy {
                !$0.isMissing && FileManager.default.fileExists(atPath: $0.path)
            })
        #expect(back.omissions.isEmpty)
    }

    @Test func theOrderOfClassesIsKeptWhereThereIsAPlaceForIt() throws {
        let scene = try Scene()
        scene.annotate(0, "zebra", Box(left: 3, top: 4, right: 40, bottom: 50))
        scene.annotate(1, "ant", Box(left: 3, top: 4, right: 40, bottom: 50))
        let yolo = try scene.set.write(to: scene.path("yolo"), as: .yolo)
        #expect(yolo.classes == ["zebra", "ant", "unseen"] && yolo.uncarried.counts.isEmpty)
        #expect(try AnnotatedImages.read(scene.path("yolo")).classes == ["zebra", "ant", "unseen"])
        let coco = try AnnotatedImages.read(scene.path("yolo")).write(
            to: scene.path("coco"), as: .coco)
        #expect(coco.classes == ["zebra", "ant", "unseen"])
        let back = try AnnotatedImages.read(scene.path("coco"))
        #expect(back.categories == [0: "zebra", 1: "ant", 2: "unseen"])
        let table = try scene.set.write(to: scene.path("csv"), as: .csv)
        #expect(table.uncarried.counts == [.unusedClasses: 1, .classOrder: 1])
    }

    @Test func outlinesMasksCrowdsAndFlags() throws {
        let scene = try Scene()
        let outline: [Annotation.Point] = [
            .init(x: 1, y: 2), .init(x: 30, y: 2), .init(x: 20, y: 40), .init(x: 1, y: 30),
            .init(x: 0.5, y: 7),
        ]
        let box = Box(left: 5, top: 5, right: 20, bottom: 30)
        scene.annotate(0, "zebra") { $0.polygons = [outline] }
        scene.annotate(0, "ant", box) { $0.isDifficult = true }
        scene.annotate(1, "ant", box) { $0.isCrowd = true }
        scene.annotate(1, "ant") {
            $0.mask = .runs([60 * 10, 60, 60 * 69], width: 80, height: 60)
        }
        let coco = try scene.set.write(to: scene.path("coco"), as: .coco)
        #expect(coco.uncarried.counts == [.flags: 1] && coco.annotationCount == 4)
        let read = try AnnotatedImages.read(scene.path("coco"))
        #expect(read.images[0].annotations[0].polygons == [outline])
        #expect(read.images[1].annotations[0].isCrowd)
        #expect(read.images[1].annotations[1].mask == scene.set.images[1].annotations[1].mask)
        let voc = try scene.set.write(to: scene.path("voc"), as: .voc)
        #expect(
            Dictionary(uniqueKeysWithValues: voc.uncarried.counts.map { ($0, $1) }) == [
                .crowds: 1, .masks: 1, .thinBoxes: 1, .unusedClasses: 1, .classOrder: 1,
            ])
        let difficult = try AnnotatedImages.read(scene.path("voc")).images.flatMap(\.annotations)
            .filter(\.isDifficult)
        #expect(difficult.map(\.label) == ["ant"])
        // Readers take every line of a set with outlines for one, so that boxes become outlines.
        let yolo = try scene.set.write(to: scene.path("yolo"), as: .yolo)
        #expect(yolo.uncarried.counts[.boxesAsPolygons] == 2 && yolo.uncarried.counts[.crowds] == 1)
        let back = try AnnotatedImages.read(scene.path("yolo"))
        #expect(Scene.boxes(back)["0.png"] == Scene.boxes(scene.set)["0.png"])
        for line in yolo.uncarried.lines { #expect(line.first?.isNumber == true) }
    }

    @Test func labelsBecomeFoldersOrATable() throws {
        let scene = try Scene()
        for (index, label) in ["zebra", "ant", "ant", "zebra"].enumerated() {
            scene.annotate(index, label)
            scene.set.images[index].split = index < 2 ? .training : .validation
        }
        _ = try scene.set.write(to: scene.path("folders"), as: .folders, images: .copy)
        #expect(
            FileManager.default.fileExists(atPath: scene.path("folders/train/zebra/0.png"))
                && FileManager.default.fileExists(atPath: scene.path("folders/val/ant/2.png")))
        _ = try scene.set.write(to: scene.path("table"), as: .csv)
        for name in ["folders", "table"] {
            let photos = try PhotoFolder.open(scene.path(name))
            #expect(photos.classes == ["ant", "zebra"] && photos.items.count == 4)
            #expect(photos.only(.validation).items.count == 2)
        }
        #expect(
            throws: DataSetWritingError.nothingToWrite(
                scene.path("x"), format: .coco, found: "labels of whole images")
        ) { try scene.set.write(to: scene.path("x"), as: .coco) }
        #expect(throws: DataSetWritingError.foldersWithoutImages) {
            try scene.set.write(to: scene.path("x"), as: .folders, images: .none)
        }
    }

    @Test func numbersBecomeATable() throws {
        let scene = try Scene()
        scene.set.classes = []
        scene.set.valueNames = ["age", "height, m"]
        for index in 0..<4 { scene.set.images[index].values = [Float(index) + 0.1, -1.5] }
        scene.set.images[3].split = .test
        let written = try scene.set.write(to: scene.path("out"), as: .csv)
        #expect(written.notes.contains { $0.contains("--task regression --columns age,height, m") })
        var reading = PhotoReading(task: .regression)
        reading.columns = ["age", "height, m"]
        let photos = try PhotoFolder.open(scene.path("out"), reading)
        #expect(photos.items.map(\.targets) == (0..<4).map { [Float($0) + 0.1, -1.5] })
        #expect(photos.only(.test).items.count == 1)
        #expect(throws: DataSetWritingError.values(scene.path("x"), format: .coco)) {
            try scene.set.write(to: scene.path("x"), as: .coco)
        }
    }

    @Test func labelStudioHoldsOutlinesTurnedBoxesLabelsAndPredictions() throws {
        let scene = try Scene()
        let outline: [Annotation.Point] = [
            .init(x: 8, y: 6), .init(x: 40, y: 6), .init(x: 24, y: 30),
        ]
        let turned = Annotation.corners(
            origin: .init(x: 30, y: 10), width: 20, height: 10, degrees: 30)
        scene.annotate(0, "zebra") { $0.polygons = [outline] }
        scene.annotate(0, "ant") { $0.orientedBox = turned }
        scene.annotate(1, "ant") { $0.score = 0.25 }
        scene.annotate(2, "a <b> & \"c\"", Box(left: 8, top: 6, right: 40, bottom: 30))
        scene.set.images[2].name = "a b %20 ü#?.png"
        scene.set.images[1].split = .validation
        let written = try scene.set.write(to: scene.path("out"), as: .labelstudio)
        #expect(written.annotationCount == 4 && written.uncarried.counts.isEmpty)
        let back = try AnnotatedImages.read(scene.path("out"))
        let found = back.images.map(\.annotations)
        #expect(
            zip(found[0][0].polygons[0], outline).allSatisfy {
                hypot($0.x - $1.x, $0.y - $1.y) < 1e-9
            })
        #expect(
            zip(found[0][1].orientedBox, turned).allSatisfy {
                hypot($0.x - $1.x, $0.y - $1.y) < 1e-9
            })
        #expect(found[1][0].isWholeImage && found[1][0].score == 0.25)
        #expect(found[2][0].label == "a <b> & \"c\"" && !back.images[2].isMissing)
        #expect(back.images[1].split == .validation && back.images[0].split == .training)
        let config = try String(contentsOfFile: scene.path("out/config.xml"), encoding: .utf8)
        #expect(config.contains("<Label value=\"a &lt;b&gt; &amp; &quot;c&quot;\"/>"))
        #expect(config.contains("PolygonLabels") && config.contains("<Choices"))
    }

    @Test func nothingIsOverwrittenAndNothingHalfWrittenStays() throws {
        let scene = try Scene()
        scene.annotate(0, "zebra", Box(left: 3, top: 4, right: 40, bottom: 50))
        try FileManager.default.createDirectory(
            atPath: scene.path("there/x"), withIntermediateDirectories: true)
        #expect(throws: DataSetWritingError.exists(scene.path("there"))) {
            try scene.set.write(to: scene.path("there"), as: .yolo)
        }
        // An image that goes while the set is written.
        scene.set.images[2].path = scene.path("gone.png")
        #expect(throws: (any Error).self) {
            try scene.set.write(to: scene.path("out"), as: .yolo)
        }
        let left = try FileManager.default.contentsOfDirectory(atPath: scene.folder).sorted()
        #expect(left == ["in", "there"])
    }

    @Test func imagesOfOneNameAndLinksKeepTheirOwnBytes() throws {
        let scene = try Scene()
        for index in 0..<4 {
            scene.annotate(index, "zebra", Box(left: 3, top: 4, right: 40, bottom: 50))
            scene.set.images[index].name = "\(index)/same.png"
        }
        let written = try scene.set.write(to: scene.path("out"), as: .yolo)
        #expect(written.uncarried.counts[.names] == 3 && written.linkCount == 4)
        let colours = try AnnotatedImages.read(scene.path("out")).images.map {
            try Image.decode(path: $0.path)[0, 0].red
        }
        #expect(Set(colours) == [0, 1, 2, 3])
    }
}
