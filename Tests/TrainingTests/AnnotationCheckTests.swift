// What `data check` says of boxes: counts by class, and which look wrong.

import Foundation
import GraftImages
import Testing

@testable import GraftTraining

@Suite struct AnnotationCheckTests {
    private func set(_ boxes: [(label: String, box: Box)]) -> AnnotatedImages {
        var set = AnnotatedImages()
        set.classes = ["cat", "dog", "unseen"]
        var image = AnnotatedImage(path: "a.jpg", name: "a.jpg")
        (image.width, image.height) = (100, 80)
        image.annotations = boxes.map { Annotation(label: $0.label, box: $0.box) }
        set.images = [image, AnnotatedImage(path: "b.jpg", name: "b.jpg")]
        return set
    }

    @Test func classesAreCountedEachForItself() {
        let check = AnnotationCheck(
            set([
                ("cat", Box(left: 0, top: 0, right: 10, bottom: 10)),
                ("cat", Box(left: 20, top: 0, right: 60, bottom: 40)),
                ("dog", Box(left: 0, top: 0, right: 100, bottom: 60)),
            ]))
        #expect(check.classes.map(\.name) == ["cat", "dog", "unseen"])
        #expect(check.classes.map(\.annotations) == [2, 1, 0])
        #expect(check.classes.map(\.images) == [1, 1, 0])
        #expect(check.classes.map(\.bySize) == [[1, 1, 0], [0, 1, 0], [0, 0, 0]])
        #expect(
            check.classes[0].medianSize == [40, 40] || check.classes[0].medianSize == [10, 10])
        #expect(check.withoutAnnotations == ["b.jpg"] && check.annotations == 3)
        #expect(check.shapes == ["boxes": 3] && check.findings.isEmpty)
    }

    @Test(arguments: [
        (Box(left: -5, top: 0, right: 30, bottom: 30), AnnotationCheck.Kind.outside),
        (Box(left: 50, top: 50, right: 101.5, bottom: 70), .outside),
        (Box(left: 5, top: 5, right: 8, bottom: 30), .tiny),
        (Box(left: 0, top: 5, right: 90, bottom: 13), .long),
        (Box(left: 0, top: 0, right: 100, bottom: 80), .whole),
        (Box(left: 10, top: 10, right: 40.5, bottom: 40), .duplicate),
    ]) func eachKindIsFound(_ box: Box, _ kind: AnnotationCheck.Kind) {
        let first = Box(left: 10, top: 10, right: 40, bottom: 40)
        let check = AnnotationCheck(set([("cat", first), ("cat", box)]))
        #expect(check.findings.map(\.kind).contains(kind))
        #expect(check.findings.allSatisfy { $0.annotationIndex == 1 && $0.image == "a.jpg" })
        let other = AnnotationCheck(set([("dog", first), ("cat", first)]))
        #expect(other.findings.map(\.kind) == [.twoClasses] && other.findings[0].other == "dog")
    }

    @Test func labelsOfSeveralClassesAreNoClassesOfTheirOwn() throws {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "graft-check-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var table = "path,labels\n"
        for (index, labels) in ["cat|dog", "cat", "dog", "cat|dog"].enumerated() {
            try Image(width: 40, height: 40, color: Color(UInt8(index * 60), 1, 1))
                .writePNG(to: folder + "/\(index).png")
            table += "\(index).png,\(labels)\n"
        }
        try table.write(toFile: folder + "/t.csv", atomically: true, encoding: .utf8)
        let check = DataCheck(try PhotoFolder.open(folder + "/t.csv"))
        #expect(check.counts == ["cat": 3, "dog": 3] && check.small == ["cat", "dog"])
    }

    @Test func aSheetShowsImagesWithFindingsFirst() throws {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "graft-check-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var set = AnnotatedImages()
        for index in 0..<9 {
            let path = folder + "/\(index).png"
            try Image(width: 50, height: 40).writePNG(to: path)
            var image = AnnotatedImage(path: path, name: "\(index).png")
            (image.width, image.height) = (50, 40)
            let right = index == 6 ? 80.0 : 30
            image.annotations = [
                Annotation(label: "cat", box: Box(left: 5, top: 5, right: right, bottom: 30))
            ]
            set.images.append(image)
        }
        let sheet = try ContactSheet.of(
            set, check: AnnotationCheck(set), title: "set", path: folder + "/s.html", limit: 4)
        #expect(sheet.sections.map(\.name) == ["With findings", "Sample of the others"])
        #expect(
            sheet.sections.map { $0.entries.map(\.name) } == [
                ["6.png"], ["0.png", "2.png", "5.png"],
            ])
        #expect(sheet.sections[0].entries[0].marks[0].isHighlighted)
        #expect(sheet.sections[0].entries[0].caption == "1 object · 1 outside")
    }
}
